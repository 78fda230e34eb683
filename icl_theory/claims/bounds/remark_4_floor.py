"""Remark 4 repaired: with a noise floor of its own scale a smaller gradient does lower the bound."""

from typing import Any

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.repaired_theorem_2 import repaired_information
from icl_theory.claims.quantities.shrunk_gradients import floor_of, information_drop, least_drop
from icl_theory.core.estimate import Estimate


def measure(case: Case) -> float:
    """By how many nats the repaired bound falls when the gradient is shrunk tenfold."""
    return information_drop(case, floor_of(case))


def predict(case: Case) -> float:
    """A thousandth of the value before."""
    return least_drop(case, floor_of(case))


def _with_floor(case: Case) -> Estimate:
    return case.ladder(floor=floor_of(case)).information["theorem_2_repaired"]


_DEFINITION: dict[str, Any] = {"measure": _with_floor, "relation": "equal", "cases": lambda factory: factory.random(1)}

CLAIM = Claim(
    source="Y Remark 4 repaired, arXiv:2406.03768v2",
    statement="With noise $C_t + ε²$ on the support, $ε²$ fixed, a smaller implicit gradient gives a smaller bound.",
    origin="repaired",
    relation="at least",
    measure=measure,
    predict=predict,
    explanation="As remark_4_printed, with $ε²$ a tenth of the mean noise variance before shrinking.",
    controls=(
        Control(
            "the bound's information against the definition, run by run",
            **_DEFINITION,
            predict=lambda case: repaired_information(case, floor_of(case)),
            expected=Verdict.HOLDS,
        ),
        Control("the same without the floor in the definition", **_DEFINITION, predict=repaired_information),
        Control("no floor", measure=information_drop, predict=least_drop),
        Control("gradient enlarged tenfold", measure=lambda case: information_drop(case, floor_of(case), 10.0)),
    ),
    cases=lambda factory: factory.one_layer,
)
