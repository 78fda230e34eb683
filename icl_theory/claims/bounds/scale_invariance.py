"""Scale invariance: the noise is tied to the gradient, so shrinking a layer's weights changes no rung at L = 1."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.shrunk_gradients import SHRINK, floor_of
from icl_theory.information.ladder.bound_ladder import BoundLadder

_NAMES = ("gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired")


def _numbers(ladder: BoundLadder) -> np.ndarray:
    ends = [ladder.sandwich.lower.value, ladder.sandwich.upper.value]
    return np.array([*(ladder.information[name].value for name in _NAMES), *ends])


def proof() -> bool:
    """$d log(c² E / d) - log(c^{2d} V)$ does not contain $c$: with $G → c G$ the $d$-dimensional $log det C$ gains $2d
    log c$."""
    c, size, volume, d = sp.symbols("c E V d", positive=True)
    term = d * sp.log(c**2 * size / d) - sp.log(c ** (2 * d) * volume)
    return sp.simplify(sp.diff(sp.expand_log(term), c)) == 0


def measure(case: Case) -> np.ndarray:
    """Four rungs and both ends of the sandwich in nats, $W_V$ multiplied by 0.1."""
    return _numbers(case.ladder(scale=SHRINK))


def predict(case: Case) -> np.ndarray:
    """The same for the untouched weights, on the same draws."""
    return _numbers(case.ladder())


CLAIM = Claim(
    source="new; contradicts Y Remark 4, arXiv:2406.03768v2",
    statement="At $L = 1$ multiplying the layer's weights by any $c ≠ 0$ leaves the information and every rung "
    "unchanged.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="$W_V$ is multiplied by 0.1, on the same draws: four rungs and both ends of the sandwich must not "
    "move. $C_t$ is a covariance of gradients, so it shrinks with them.",
    proof=proof,
    controls=(
        Control(
            "with a noise floor of its own scale",
            measure=lambda case: _numbers(case.ladder(floor=floor_of(case), scale=SHRINK)),
            predict=lambda case: _numbers(case.ladder(floor=floor_of(case))),
        ),
        Control("rungs off by 1 %", predict=lambda case: 1.01 * _numbers(case.ladder())),
    ),
    cases=lambda factory: factory.one_layer,
)
