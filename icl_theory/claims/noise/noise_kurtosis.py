"""How Gaussian the noise of a subset is: its kurtosis in closed form, for every b and N."""

from functools import lru_cache
from itertools import combinations

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
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
def measure(case: Case) -> np.ndarray:
    """Kurtosis at every $b$ of SHOTS, by enumeration."""
    points = readout_gradients(case)
    return np.array([enumerated(points, shots) for shots in SHOTS])


def predict(case: Case, more: int = 0) -> np.ndarray:
    """The closed form, at $b$ + `more`."""
    points = readout_gradients(case)
    return np.array([subset_kurtosis(points, shots + more) for shots in SHOTS])


def gaussian(case: Case) -> np.ndarray:
    """$d(d+2)$ with $d$ the rank of the readout's noise."""
    rank = whitened(readout_gradients(case)).shape[1]
    return np.full(len(SHOTS), float(rank * (rank + 2)))


def with_replacement(case: Case) -> np.ndarray:
    """d(d+2) + (kurtosis at b = 1, minus d(d+2)) / b: independent draws."""
    return gaussian(case) + (subset_kurtosis(readout_gradients(case), 1) - gaussian(case)) / np.array(SHOTS)


CLAIM = Claim(
    source="new; finite-population fourth moments, for Y Assumption 1, arXiv:2406.03768v2",
    statement="Mardia's kurtosis of the mean of $b$ of $N$ gradients is "
    "$[p_1 Q + p_2 (g - 7Q) + p_3 (12Q - 2g) + p_4 (g - 6Q)] / (b⁴ φ²)$: "
    "its excess over $d(d+2)$ falls like $1/b$ for $b$ far below $N$, and is the same for $b$ and $N-b$.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The readout's noise at the first layer: all subsets of 1, 2, 3 and 17 of 20 demonstrations are "
    "enumerated. $Q = Σ |x_i|⁴$ of the whitened gradients, $g = N²d(d+2)$, $p_k$ the probability that $k$ given "
    "demonstrations are shown, $φ = (N-b)/(b(N-1))$. Near $b = N$ the noise is as far from Gaussian as near $b = 1$.",
    controls=(
        Control("Gaussian noise: $d(d+2)$", predict=gaussian),
        Control("independent draws: excess exactly like $1/b$", predict=with_replacement),
        Control("one shot more", predict=lambda case: predict(case, 1)),
    ),
    tolerance=1e-9,
)
