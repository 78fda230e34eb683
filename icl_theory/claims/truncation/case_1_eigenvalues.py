"""Case 1 read with eigenvalues as the measure of ill-conditioning: right for normal matrices only."""

from fractions import Fraction

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.condition_numbers import INVERTIBLE, amplification
from icl_theory.truncation.conditioning import condition_number


def eigenvalue_ratio(matrix: np.ndarray) -> float:
    """|λ|_max / |λ|_min."""
    sizes = np.abs(np.linalg.eigvals(matrix))
    return float(sizes.max() / sizes.min())


def _symmetric(case: Case) -> np.ndarray:
    """U diag(σ) Uᵀ from W_V = U diag(σ) Vᵀ: symmetric and therefore normal, with the same singular values."""
    u, values, _ = np.linalg.svd(case.model.value[0])
    return (u * values) @ u.T


def counterexample() -> dict:
    """W = [[1, 8], [0, 2]] of eigenvalues 1 and 2, b = (8, 2), δb = (1, 0): x = (0, 1), δx = (1, 0), a factor √68."""
    return {"matrix": [[1, 8], [0, 2]], "b": [8, 2], "change": [1, 0]}


def recheck(found: dict) -> bool:
    """(|δx|/|x|)² > (λ_2/λ_1)² (|δb|/|b|)² for an upper triangular 2 x 2 matrix, in exact fractions."""
    (first, corner), (below, last) = found["matrix"]
    if below != 0 or first == last or 0 in (first, last):
        return False  # not triangular, or without two eigenvectors, or not invertible

    def solved_square(b: list[int]) -> Fraction:
        second = Fraction(b[1], last)
        return ((b[0] - corner * second) / first) ** 2 + second**2

    sizes = [Fraction(sum(entry**2 for entry in vector)) for vector in (found["b"], found["change"])]
    ratio = max(Fraction(first, last) ** 2, Fraction(last, first) ** 2)
    return solved_square(found["change"]) * sizes[0] > ratio * solved_square(found["b"]) * sizes[1]


def measure(case: Case) -> np.ndarray:
    """$(|δx|/|x|) / (|δb|/|b|)$ over $|λ|_max/|λ|_min$, for the worst and for random $b$ and $δb$."""
    return amplification(case) / eigenvalue_ratio(case.model.value[0])


CLAIM = Claim(
    source="Y Section 3.4, Case 1 (its eigenvalues as the measure), arXiv:2406.03768v2",
    statement="There are $W x = b$ in which a relative change of $b$ changes $x$ by more than $|λ|_max/|λ|_min$ "
    "times as much.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=measure,
    predict=lambda case: 1.0,
    assumptions=(INVERTIBLE,),
    explanation="$W_V$ of the first layer, $b$ and its change as in condition_number. Eigenvectors that are nearly "
    "parallel let a small $b$ have a large solution, whatever the eigenvalues; trained weights are not normal. "
    "Singular values, which the paper turns to for its algorithm, do bound it; both agree for normal $W$ (a control "
    "that holds).",
    requires=(),
    controls=(
        Control(
            "a symmetric matrix of the same singular values",
            measure=lambda case: amplification(case, _symmetric(case)) / eigenvalue_ratio(_symmetric(case)),
            expected=Verdict.HOLDS,
        ),
        Control(
            "singular values",
            measure=lambda case: amplification(case) / condition_number(case.model.value[0]),
            expected=Verdict.HOLDS,
        ),
        Control(
            "a symmetric matrix, 1 % less",
            measure=lambda case: amplification(case, _symmetric(case)) / eigenvalue_ratio(_symmetric(case)),
            predict=lambda case: 0.99,
        ),
        Control(
            "singular values, 1 % less",
            measure=lambda case: amplification(case) / condition_number(case.model.value[0]),
            predict=lambda case: 0.99,
        ),
    ),
    exact_counterexample=counterexample,
    verify_exact=recheck,
    tolerance=1e-6,
)
