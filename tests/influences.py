"""Standard errors by another method: the influence of every sample as the derivative in its weight, by a complex step.

A statistic is written as a function of weights w, one per independent sample, that does not change when all of them are
multiplied by one number: means become Σ w x / Σ w. The derivative of an analytic function along i h is exact to
rounding for h = 1e-40, with no difference of nearly equal numbers, so that a delta-method error can be compared with it
to nine digits.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Functional = Callable[[np.ndarray], Any]
_STEP = 1e-40


def mean(model: np.ndarray, values: np.ndarray) -> Any:
    """Σ w x / Σ w over the first axis."""
    return np.tensordot(model, values, axes=1) / model.sum()


def influences(statistic: Functional, count: int) -> np.ndarray:
    """K ∂T/∂w_i at equal weights, for every sample i; they sum to 0 if T does not depend on the scale of w."""
    model = np.ones(count, dtype=np.complex128) + 1j * _STEP * np.eye(count)
    found = count * np.array([complex(statistic(w)).imag for w in model]) / _STEP
    assert abs(found.mean()) <= 1e-9 * np.abs(found).max() + 1e-300  # else the statistic is not one of shares
    return found


def jackknife_error(statistic: Functional, count: int) -> float:
    """The infinitesimal jackknife: the standard error of a mean of the influences."""
    return error_of_mean(influences(statistic, count))


def error_of_mean(values: Any) -> float:
    """sqrt(Σ (x - x̄)² / (n (n - 1))), summed without numpy's own variance."""
    values = [float(v) for v in np.asarray(values).ravel()]
    count, centre = len(values), math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (count * (count - 1)))
