"""The ladder when the implicit gradient of the first layer is shrunk, without and with a noise floor."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.noise.covariance import gradient_noise, layer_factors
from icl_theory.noise.support import support_dimension

SHRINK = 0.1


def floor_of(case: Case) -> float:
    """A noise floor ε² of a tenth of the mean noise variance per support direction, tr C / d_S."""
    noise = gradient_noise(case.model, case.demonstrations, shots=case.shots)
    factors = layer_factors(case.model, 0, np.zeros((1, 1)))
    return 0.1 * noise.trace / support_dimension(*factors, case.demonstrations)


_NAME = "theorem_2_repaired"


def information_drop(case: Case, floor: float = 0.0, scale: float = SHRINK) -> float:
    """By how many nats the information of the repaired bound falls when the gradient is shrunk tenfold.

    `scale`: another factor for the norm.
    """
    before, after = (case.ladder(floor=floor, scale=factor).information[_NAME].value for factor in (1.0, scale))
    return before - after


def least_drop(case: Case, floor: float = 0.0) -> float:
    """A thousandth of the information: "lower" must mean lower by more than rounding."""
    return 0.001 * case.ladder(floor=floor).information[_NAME].value
