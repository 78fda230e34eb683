"""The kurtosis of subset means of the readout's gradients: enumerated, in closed form, and Gaussian."""

from functools import lru_cache
from itertools import combinations

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.noise.covariance import gradient_noise
from icl_theory.noise.normality import subset_kurtosis
from icl_theory.noise.normality_tests import whitened

SHOTS = (1, 2, 3, 17)  # of 20 demonstrations: at most 1140 subsets each


def readout_gradients(case: Case) -> np.ndarray:
    """What demonstration i adds to the readout at the first layer: the label row of g_i, x columns; (N, d_x)."""
    noise = gradient_noise(case.model, case.demonstrations, shots=1)
    return noise.left[:, -1:] * noise.right[:, :-1]


@lru_cache(maxsize=8)
def _subsets(count: int, shots: int) -> np.ndarray:
    return np.array(list(combinations(range(count), shots)))


def enumerated(points: np.ndarray, shots: int) -> float:
    """E (x̄ᵀ C⁻¹ x̄)² over all subsets, with the covariance of these very means."""
    z = whitened(points[_subsets(len(points), shots)].mean(axis=1))
    return float(((z**2).sum(axis=1) ** 2).mean())


@lru_cache(maxsize=512)
def enumerated_kurtosis(case: Case) -> np.ndarray:
    """Kurtosis at every $b$ of SHOTS, by enumeration."""
    points = readout_gradients(case)
    return np.array([enumerated(points, shots) for shots in SHOTS])


def exact_kurtosis(case: Case, more: int = 0) -> np.ndarray:
    """The closed form, at $b$ + `more`."""
    points = readout_gradients(case)
    return np.array([subset_kurtosis(points, shots + more) for shots in SHOTS])


def gaussian_kurtosis(case: Case) -> np.ndarray:
    """$d(d+2)$ with $d$ the rank of the readout's noise."""
    rank = whitened(readout_gradients(case)).shape[1]
    return np.full(len(SHOTS), float(rank * (rank + 2)))


def kurtosis_with_replacement(case: Case) -> np.ndarray:
    """d(d+2) + (kurtosis at b = 1, minus d(d+2)) / b: independent draws."""
    return gaussian_kurtosis(case) + (subset_kurtosis(readout_gradients(case), 1) - gaussian_kurtosis(case)) / np.array(
        SHOTS
    )
