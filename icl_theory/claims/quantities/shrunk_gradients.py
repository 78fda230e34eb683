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


def shrunk_information(case: Case, floor: float = 0.0, scale: float = SHRINK) -> float:
    """Information of the repaired bound with the gradient shrunk tenfold, in nats.

    `scale`: another factor for the norm.
    """
    return case.ladder(floor=floor, scale=scale).information[_NAME].value


def clearly_below(case: Case, floor: float = 0.0) -> float:
    """99.9 % of the value before: "lower" must mean lower by more than rounding."""
    return 0.999 * case.ladder(floor=floor).information[_NAME].value
