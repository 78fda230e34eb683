"""Lemma 2 (Xu and Raginsky): the information between output and demonstrations bounds the gap."""

import math
from typing import Any

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.gap_by_hand import bound_by_hand
from icl_theory.claims.quantities.ladder_values import RESOLVED, generalization_gap
from icl_theory.core.estimate import Estimate, generalization_bound


def bound(case: Case) -> Estimate:
    """$sqrt(2 R² I / N)$ from the upper end of the sandwich."""
    return case.ladder().rungs["mutual_information"]


def tight(case: Case, reach: float = 0.5) -> float:
    """The bound on one fair bit Z that W repeats up to flips of probability ½ - ε, for the loss 1[W ≠ Z]: N = 1, R = ½.

    ε = 0.02 (1 + seed mod 4); I(W; Z) = log 2 - H(½ - ε) = 2 ε² + O(ε⁴), so the bound is ε + O(ε³), and the gap is ε.
    """
    flipped = 0.5 - _advantage(case)
    nats = math.log(2) + flipped * math.log(flipped) + (1 - flipped) * math.log1p(-flipped)
    return generalization_bound(Estimate(nats), range_constant=reach, demonstrations=1).value / _advantage(case)


def _advantage(case: Case) -> float:
    return 0.02 * (1 + case.seed % 4)


def _at_the_bit(relation: str, **changes: Any) -> dict[str, Any]:
    """The changes that make the claim one about the bit: the bound over the gap, which is 1 up to ε²."""
    made = {"measure": tight, "predict": lambda case: 1.0, "trivial": None, "assumptions": (), "tolerance": 0.02}
    return made | {"relation": relation, "cases": lambda factory: factory.random(1)} | changes


def _scaled(case: Case, factor: float) -> Estimate:
    return Estimate(factor * bound(case).value, factor * bound(case).stderr)


CLAIM = Claim(
    source="Xu and Raginsky 2017, arXiv:1705.07809v2; Y Lemma 2, arXiv:2406.03768v2",
    statement="$gap ≤ sqrt(2 R² I(W; H_s) / N)$.",
    origin="paper",
    relation="at most",
    measure=generalization_gap,
    predict=bound,
    trivial=lambda case: case.ladder().trivial,
    assumptions=(RESOLVED,),
    explanation="Gap of the clipped squared error ($R = c/2$; the plain squared error is not sub-Gaussian here) "
    "against the upper end of the sandwich of the mutual information, at $L > 1$ of the path information.",
    controls=(
        Control(
            "an instance where it is tight: one bit, flipped now and then",
            **_at_the_bit("equal"),
            expected=Verdict.HOLDS,
        ),
        Control("the same with $R$ 5 % smaller", **_at_the_bit("at least", measure=lambda case: tight(case, 0.475))),
        Control(
            "the ladder's bound from its information: $R = c/2$, $N$ demonstrations",
            measure=lambda case: bound(case).value,
            predict=lambda case: bound_by_hand(case, "mutual_information"),
            relation="equal",
            trivial=None,
            expected=Verdict.HOLDS,
        ),
        Control(
            "the same divided by the demonstrations shown",
            measure=lambda case: bound(case).value,
            predict=lambda case: bound_by_hand(case, "mutual_information", case.ladder_shots),
            relation="equal",
            trivial=None,
        ),
        Control("bound / 100", predict=lambda case: _scaled(case, 0.01)),
        Control(
            "bound / 10 on the population risk",
            measure=lambda case: case.ladder().population_loss,
            predict=lambda case: _scaled(case, 0.1),
        ),
    ),
)
