"""Theorem 2 repaired: prior on the support, expectation inside the logarithm."""

from icl_theory.claims.base import Assumption, Claim, Control
from icl_theory.claims.cases import LADDER_DEMONSTRATIONS, Case
from icl_theory.claims.theorem_2_printed import gap
from icl_theory.estimate import Estimate


def bound(case: Case) -> Estimate:
    """The rung `theorem_2_repaired`."""
    return case.ladder().rungs["theorem_2_repaired"]


RESOLVED = Assumption(
    "N - 1 ≥ d_t in every layer, so that C_t is not singular on its support",
    holds=lambda case: max(case.ladder().support) <= LADDER_DEMONSTRATIONS - 1,
)


def _scaled(case: Case, factor: float) -> Estimate:
    return Estimate(factor * bound(case).value, abs(factor) * bound(case).stderr)


CLAIM = Claim(
    label="theorem_2_repaired",
    source="Y Theorem 2 repaired, arXiv:2406.03768v2",
    statement="gap ≤ sqrt((R²/N) Σ_t {d_t log(E[||ΔW_t||² ||I + W_{t-1}||² + tr C_t]/d_t) - E log det_V C_t}), "
    "d_t = dim V_t ≤ N - 1.",
    printed="repaired",
    relation="at most",
    measure=gap,
    predict=bound,
    trivial=lambda case: case.ladder().trivial,
    assumptions=(RESOLVED,),
    explanation="Gap of the clipped squared error (R = c/2) at N = 80, b = 20 against the bound, on all weights. "
    "A case in which the bound exceeds c says nothing and counts as vacuous.",
    controls=(
        Control("bound / 200", {"predict": lambda case: _scaled(case, 0.005)}),
        Control(
            "population risk instead of the gap, bound / 20",
            {"measure": lambda case: case.ladder().population, "predict": lambda case: _scaled(case, 0.05)},
        ),
    ),
)
