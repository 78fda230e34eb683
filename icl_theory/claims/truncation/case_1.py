"""Case 1: what moves x in W x = b when b moves along an eigenvector of W."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control
from icl_theory.truncation.conditioning import condition_number

_WORST = 1e6


def eigenvectors(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """λ_i and unit x_i (columns) of the first layer's W_V; complex ones come in pairs."""
    return np.linalg.eig(case.model.value[0])


def _well_posed(case: Case) -> bool:
    return condition_number(case.model.value[0]) < _WORST and float(np.linalg.cond(eigenvectors(case)[1])) < _WORST


def _coefficients(case: Case) -> np.ndarray:
    """l_1, ..., l_D of b."""
    return np.random.default_rng(case.seed).standard_normal(case.model.token_dim)


def _parts(solutions: np.ndarray) -> np.ndarray:
    """Real and imaginary parts, since evidence is real."""
    return np.stack([np.real(solutions), np.imag(solutions)])


def measure(case: Case) -> np.ndarray:
    """$x$ for $b = Σ l_i x_i$, and what $b + x_i$ adds to it, for every $i$; real and imaginary parts."""
    vectors = eigenvectors(case)[1]
    b = vectors @ _coefficients(case)
    moved = np.linalg.solve(case.model.value[0], np.column_stack([b, vectors + b[:, None]]))
    return _parts(np.column_stack([moved[:, 0], moved[:, 1:] - moved[:, :1]]))


def predict(case: Case, *, exchanged: bool = False, singular: bool = False) -> np.ndarray:
    """$Σ (l_i/λ_i) x_i$, and $x_i/λ_i$ for every $i$."""
    values, vectors = eigenvectors(case)
    sizes = values[::-1] if exchanged else values
    sizes = np.linalg.svd(case.model.value[0], compute_uv=False) if singular else sizes
    return _parts(np.column_stack([vectors @ (_coefficients(case) / sizes), vectors / sizes]))


WELL_POSED = Assumption("$W_V$ and the matrix of its eigenvectors have condition numbers below 1e6", holds=_well_posed)


def proof() -> bool:
    """With symbols, $W = X diag(λ) X^{-1}$ of size 2: $W ((l_1/λ_1) x_1 + (l_2/λ_2) x_2) = l_1 x_1 + l_2 x_2$."""
    vectors = sp.Matrix(2, 2, sp.symbols("x:4"))
    values, parts = sp.symbols("lambda1:3", nonzero=True), sp.symbols("l1:3")
    w = vectors * sp.diag(*values) * vectors.inv()
    solved = sum(
        (part / value * vectors[:, i] for i, (part, value) in enumerate(zip(parts, values, strict=True))),
        sp.zeros(2, 1),
    )
    wanted = sum((part * vectors[:, i] for i, part in enumerate(parts)), sp.zeros(2, 1))
    return sp.simplify(w * solved - wanted) == sp.zeros(2, 1)


CLAIM = Claim(
    source="Y Section 3.4, Case 1, arXiv:2406.03768v2",
    statement="With $W x_i = λ_i x_i$ and $b = Σ_i l_i x_i$, the solution of $W x = b$ is $x = Σ_i (l_i/λ_i) x_i$: "
    "raising $l_i$ by 1 moves it by $x_i/λ_i$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    assumptions=(WELL_POSED,),
    explanation="$W_V$ of the first layer with all its eigenvectors, of which the paper takes two; $W x = b$ solved "
    "before and after each move. It says what happens along eigenvectors. For other directions eigenvalues are no "
    "guide unless $W$ is normal: see case_1_eigenvalues.",
    proof=proof,
    requires=(),
    controls=(
        Control("eigenvalues exchanged", predict=lambda case: predict(case, exchanged=True)),
        Control("singular values in their place", predict=lambda case: predict(case, singular=True)),
    ),
    tolerance=1e-8,
)
