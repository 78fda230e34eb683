"""Remark 4 as printed: controlling the norm of the implicit gradients lowers the bound."""

from icl_theory.claims.base import Claim, Control, Verdict
from icl_theory.claims.cases import Case
from icl_theory.claims.scale_invariance import SHRINK, floor_of

_NAME = "theorem_2_repaired"


def after(case: Case, floor: float = 0.0, scale: float = SHRINK) -> float:
    """Information of the repaired bound with the gradient's norm multiplied by `scale`, in nats."""
    return case.ladder(floor=floor, scale=scale).information[_NAME].value


def clearly_below(case: Case, floor: float = 0.0) -> float:
    """99.9 % of the value before: "lower" must mean lower by more than rounding."""
    return 0.999 * case.ladder(floor=floor).information[_NAME].value


CLAIM = Claim(
    label="remark_4_printed",
    source="Y Remark 4, arXiv:2406.03768v2",
    statement="A smaller norm of the implicit gradients gives a smaller bound (noise as defined in Assumption 1).",
    printed="printed",
    relation="at most",
    measure=after,
    predict=clearly_below,
    explanation="The gradient is shrunk tenfold on the same draws. Since the noise covariance shrinks with it, the two "
    "terms of the bound move by the same amount and nothing is gained.",
    controls=(
        Control(
            "with a noise floor",
            {"measure": lambda c: after(c, floor_of(c)), "predict": lambda c: clearly_below(c, floor_of(c))},
            Verdict.HOLDS,
        ),
        Control(
            "with a noise floor, gradient enlarged",
            {"measure": lambda c: after(c, floor_of(c), 10.0), "predict": lambda c: clearly_below(c, floor_of(c))},
        ),
    ),
    cases=lambda workshop: workshop.one_layer,
)
