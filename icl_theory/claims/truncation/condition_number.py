"""Section 3.4: the condition number bounds how much a relative error of b or of W is amplified in W x = b."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.condition_numbers import INVERTIBLE, amplification, first_value
from icl_theory.truncation.conditioning import condition_number


def amplification_of_matrix(case: Case) -> np.ndarray:
    """(|δx|/|x + δx|) / (||δW||/||W||) in (W + δW)(x + δx) = W x: for the worst δW of rank one, and for random ones."""
    w, rng = first_value(case), np.random.default_rng(case.seed)
    u, values, _ = np.linalg.svd(w)
    after = rng.standard_normal(len(w))
    after = after / np.linalg.norm(after)
    # δW maps x + δx to the smallest left singular vector.
    errors = [values[0] * np.outer(u[:, -1], after), *rng.standard_normal((20, *w.shape))]
    change = [np.linalg.norm(np.linalg.solve(w, error @ after)) for error in errors]
    return np.array(change) * values[0] / np.linalg.norm(errors, 2, axis=(1, 2))


def measure(case: Case) -> np.ndarray:
    """Both amplifications over $κ₂$."""
    return np.concatenate([amplification(case), amplification_of_matrix(case)]) / condition_number(first_value(case))


def proof() -> bool:
    """Symbolically for $W = diag(s, t)$, $s ≥ t > 0$: $|x| = |b|/s$ at best, $|δx| = |δb|/t$ at worst, so the ratio is
    $s/t$."""
    s, t, angle, other = sp.symbols("s t alpha beta", positive=True)
    solved = sp.diag(s, t).inv() * sp.Matrix([sp.cos(angle), sp.sin(angle)])
    change = sp.diag(s, t).inv() * sp.Matrix([sp.cos(other), sp.sin(other)])
    worst = (change.dot(change) / solved.dot(solved)).subs({angle: 0, other: sp.pi / 2})
    # 1/s² ≤ |x|² and |δx|² ≤ 1/t² for every direction: both differences are a square times s² - t² ≥ 0.
    gap_x = sp.simplify(solved.dot(solved) - 1 / s**2 - sp.sin(angle) ** 2 * (s**2 - t**2) / (s**2 * t**2))
    gap_change = sp.simplify(1 / t**2 - change.dot(change) - sp.cos(other) ** 2 * (s**2 - t**2) / (s**2 * t**2))
    return sp.simplify(worst - s**2 / t**2) == 0 and gap_x == 0 and gap_change == 0


CLAIM = Claim(
    source="Y Section 3.4 (condition number) and footnote 7, arXiv:2406.03768v2",
    statement="In $W x = b$ a relative change of $b$, or of $W$, changes $x$ by at most $κ₂ = σ_max/σ_min$ times as "
    "much.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=lambda case: 1.0,
    assumptions=(INVERTIBLE,),
    explanation="$W_V$ of the first layer, $b$ along the largest and $δb$ along the smallest singular direction, where "
    "the bound is attained, and with random directions; for a change of $W$, of which one of rank one attains it, the "
    "change of $x$ is relative to the new $x$.",
    requires=(),
    controls=(
        Control("$κ$ lowered by 1 %", predict=lambda case: 0.99),
        Control(
            "Frobenius condition number / $D²$",
            predict=lambda case: float(
                np.linalg.norm(first_value(case))
                * np.linalg.norm(np.linalg.inv(first_value(case)))
                / condition_number(first_value(case))
                / len(first_value(case)) ** 2
            ),
        ),
    ),
    proof=proof,
    tolerance=1e-9,
)
