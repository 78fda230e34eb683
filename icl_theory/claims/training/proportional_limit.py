"""The limit of many dimensions and demonstrations: the optimum's risk tends to a formula, at the rate 1/d."""

from collections.abc import Callable

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.tasks.linear_regression import LinearRegression

_DIMS = (10, 20, 40)


def shares(case: Case) -> np.ndarray:
    """α = N/d and ρ = σ² of three settings."""
    rng = np.random.default_rng(case.seed)
    return np.stack([rng.integers(1, 9, size=3) / 2, rng.uniform(0.05, 1.0, size=3)], axis=1)


def limit(alpha: float, rho: float) -> float:
    """$1 + ρ - 1/(1 + (1 + ρ)/α)$, the error on noisy labels with $|w|² = 1$."""
    return 1 + rho - 1 / (1 + (1 + rho) / alpha)


def risk(dim: int, alpha: float, rho: float) -> float:
    """Exact risk of the one-layer optimum, w ~ N(0, I/d), on noisy labels."""
    task = LinearRegression(dim, task_covariance=np.eye(dim) / dim, noise_std=float(np.sqrt(rho)))
    return one_layer_optimum(task, shots=round(alpha * dim))[1] + rho


def distance(case: Case, formula: Callable[[float, float], float] = limit) -> np.ndarray:
    """$d |risk - limit|$ at $d = 10, 20, 40$, shape (3, 3)."""
    return np.array([[d * abs(risk(d, a, r) - formula(a, r)) for d in _DIMS] for a, r in shares(case)])


CLAIM = Claim(
    source="Lu, Letey, Zavatone-Veth, Maiti, Pehlevan 2024, arXiv:2405.11751, unlimited pre-training",
    statement="For $N/d → α$, label noise $ρ$ and unlimited pre-training the error tends to "
    "$1 + ρ - 1/(1 + (1 + ρ)/α)$; at finite $d$ it is off by at most $1/d$.",
    origin="paper",
    relation="at most",
    measure=distance,
    predict=lambda case: 1.0,
    explanation="Exact risk of the one-layer optimum at $d$ = 10, 20 and 40 for three random pairs $(α, ρ)$. Their "
    "asymptotics of finite pre-training (few tasks, few prompts) are not judged here.",
    requires=("cases of its own",),
    controls=(
        Control(
            "without the noise in the denominator", measure=lambda c: distance(c, lambda a, r: 1 + r - 1 / (1 + 1 / a))
        ),
        Control("the limit off by 5 %", measure=lambda c: distance(c, lambda a, r: 1.05 * limit(a, r))),
        Control("a rate of $1/(20 d)$", predict=lambda case: 0.05),
    ),
    cases=lambda factory: factory.random(1),
)
