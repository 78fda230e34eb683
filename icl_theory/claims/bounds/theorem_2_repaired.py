"""Theorem 2 repaired: prior on the support, expectation inside the logarithm."""

from typing import Any

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.gap_by_hand import gap_by_hand
from icl_theory.claims.quantities.ladder_values import RESOLVED, generalization_gap
from icl_theory.claims.quantities.repaired_theorem_2 import first_layer_alone, repaired_information, repaired_kl_bound
from icl_theory.core.estimate import Estimate


def _scaled(case: Case, factor: float) -> Estimate:
    bound = repaired_kl_bound(case)
    return Estimate(factor * bound.value, abs(factor) * bound.stderr)


def _rung(case: Case, name: str) -> Estimate:
    return first_layer_alone(case).ladder().information[name]


def _turned(case: Case) -> Estimate:
    gap = generalization_gap(case)
    return Estimate(-gap.value, gap.stderr, gap.samples, "unbiased", "loss")


_GAP: dict[str, Any] = {
    "measure": generalization_gap,
    "predict": gap_by_hand,
    "relation": "equal",
    "trivial": None,
    "assumptions": (),
}
_GAP |= {"cases": lambda factory: [*factory.random(1), *factory.constructed(factory.depth)]}
_GAP_TURNED: dict[str, Any] = _GAP | {"measure": lambda case: _turned(case)}


def _from_definition(name: str) -> dict[str, Any]:
    """The changes that hold a rung of the first layer, over d_S, against the definition of Theorem 2's."""
    return {
        "measure": lambda case: _rung(case, name),
        "predict": repaired_information,
        "relation": "equal",
        "trivial": None,
        "cases": lambda factory: [*factory.random(1), *factory.random(factory.depth)],
    }


CLAIM = Claim(
    source="Y Theorem 2 repaired, arXiv:2406.03768v2",
    statement="$gap ≤ sqrt((R²/N) Σ_t {d_t log(E[||ΔW_t||² ||I + W_{t-1}||² + tr C_t]/d_t) - E log det_V C_t})$, "
    "$d_t = dim V_t ≤ N - 1$, and with the same information $N kl(E L_H/c, E L_μ/c) ≤ I$.",
    origin="repaired",
    relation="at most",
    measure=generalization_gap,
    predict=repaired_kl_bound,
    trivial=lambda case: case.ladder().trivial,
    assumptions=(RESOLVED,),
    explanation="Gap of the clipped squared error ($R = c/2$) at $N = 80$, $b = 20$ against the bound in its binary "
    "relative entropy form, which is below the square root by Pinsker's inequality, on all weights. The information is "
    "taken from below, so that holding is not luck.",
    controls=(
        Control(
            "its information against the definition, run by run",
            **_from_definition("theorem_2_repaired"),
            expected=Verdict.HOLDS,
        ),
        Control("the rung without the factor $||I||²$ against the definition", **_from_definition("isotropic_zero")),
        Control("the gap against losses on fresh tokens", **_GAP, expected=Verdict.HOLDS),
        Control("the same with its sign turned", **_GAP_TURNED),
        Control("bound / 200", predict=lambda case: _scaled(case, 0.005)),
        Control(
            "population risk instead of the gap, bound / 20",
            measure=lambda case: case.ladder().population_loss,
            predict=lambda case: _scaled(case, 0.05),
        ),
    ),
)
