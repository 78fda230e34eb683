"""Tests of normality: Mardia's skewness and kurtosis, and Henze and Zirkler's statistic."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc, ndtr

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result

_RANK_TOLERANCE = 1e-10
"""Directions below this fraction of the largest singular value count as empty."""
_BLOCK_ENTRIES = 2**22
"""Most pairwise numbers held at a time."""


@fields_in_help
@dataclass(frozen=True, repr=False)
class NormalityTest(Result):
    """A statistic, its mean for Gaussian samples of the same size, and how rarely one of these is as extreme."""

    value: float
    """The statistic of the sample."""
    expected: float
    """Its mean for Gaussian samples."""
    p_value: float
    """Probability of a value as extreme from a Gaussian sample, by the approximation named in `normality_tests`."""


def whitened(points: np.ndarray) -> np.ndarray:
    """Centred points with (1/n) Σ z zᵀ = I on the span of the centred points, shape (n, rank)."""
    centred = points - points.mean(axis=0)
    u, values, _ = np.linalg.svd(centred, full_matrices=False)
    # Relative to the size before centring: rounding of equal points would otherwise be whitened.
    size = float(np.linalg.norm(points, 2)) if points.size else 0.0
    return np.sqrt(len(points)) * u[:, values > _RANK_TOLERANCE * size]


def mardia(z: np.ndarray) -> tuple[float, float]:
    """b₁ = (1/n²) Σ_ij (z_i · z_j)³ and b₂ = (1/n) Σ_i |z_i|⁴ of whitened points z (n, d)."""
    step = max(1, _BLOCK_ENTRIES // len(z))
    cubes = 0.0
    for start in range(0, len(z), step):
        gram = z[start : start + step] @ z.T
        cubes += float((gram * gram * gram).sum())
    return cubes / len(z) ** 2, float(((z**2).sum(axis=1) ** 2).mean())


def henze_zirkler(z: np.ndarray) -> float:
    """n times the weighted L² distance of the characteristic functions of whitened points z (n, d) and N(0, I).

    n [(1/n²) Σ_ij e^{-β²|z_i - z_j|²/2} - 2(1+β²)^{-d/2} (1/n) Σ_i e^{-β²|z_i|²/(2(1+β²))} + (1+2β²)^{-d/2}] with
    β = ((2d+1) n / 4)^{1/(d+4)} / √2.
    """
    count, d = z.shape
    square, norms = _smoothing(count, d), (z**2).sum(axis=1)
    step, pairs = max(1, _BLOCK_ENTRIES // count), 0.0
    for start in range(0, count, step):
        gaps = norms[start : start + step, None] + norms - 2 * z[start : start + step] @ z.T
        pairs += float(np.exp(-0.5 * square * gaps).sum())
    single = 2 * (1 + square) ** (-d / 2) * np.exp(-0.5 * square / (1 + square) * norms).sum()
    return float(pairs / count - single + count * (1 + 2 * square) ** (-d / 2))


def _smoothing(count: int, dimension: int) -> float:
    """β², which shrinks the kernel as the sample grows."""
    return 0.5 * ((2 * dimension + 1) * count / 4) ** (2 / (dimension + 4))


def _henze_zirkler_moments(count: int, d: int) -> tuple[float, float]:
    """Asymptotic mean and variance of the statistic under normality (Henze and Zirkler 1990, Theorem 3.2)."""
    s = _smoothing(count, d)
    a, w = 1 + 2 * s, (1 + s) * (1 + 3 * s)
    mean = 1 - a ** (-d / 2) * (1 + d * s / a + d * (d + 2) * s**2 / (2 * a**2))
    variance = 2 * (1 + 4 * s) ** (-d / 2)
    variance += 2 * a**-d * (1 + 2 * d * s**2 / a**2 + 3 * d * (d + 2) * s**4 / (4 * a**4))
    variance -= 4 * w ** (-d / 2) * (1 + 3 * d * s**2 / (2 * w) + d * (d + 2) * s**4 / (2 * w**2))
    return mean, variance


def normality_tests(points: Any) -> tuple[NormalityTest, NormalityTest, NormalityTest]:
    """Mardia's skewness and kurtosis and Henze and Zirkler's statistic of points (n, d), against N(·, ·).

    p-values: n b₁ / 6, scaled to its exact mean, as χ² with d(d+1)(d+2)/6 degrees of freedom (upper tail); b₂ as
    normal with its exact mean and variance (both tails); Henze and Zirkler's as log-normal with asymptotic mean and
    variance (upper tail). The tests of this module compare them with simulated samples.

    Args:
        points: shape (n, d), n > d + 2.

    Raises: ValueError unless n > d + 2, for NaN, or for points that do not span d dimensions.
    Source: Mardia 1970 and 1974, Henze and Zirkler 1990.
    """
    points = checks.array("points", points, (None, None), "pass one point per row")
    count, d = points.shape
    checks.integer("number of points", count, d + 3, None, f"draw many more than the {d} dimensions")
    z = whitened(points)
    if z.shape[1] < d:
        raise checks.error("points", f"{z.shape[1]} dimensions", f"{d}", "drop the coordinates that do not vary")
    return statistics_of(z)


def statistics_of(z: np.ndarray) -> tuple[NormalityTest, NormalityTest, NormalityTest]:
    """`normality_tests` of points (n, d) that are whitened already."""
    n, d = z.shape
    cubed, fourth = mardia(z)
    mean = d * (d + 2) * ((n + 1) * (d + 1) - 6) / ((n + 1) * (n + 3))
    freedom = d * (d + 1) * (d + 2) / 6
    skewness = NormalityTest(cubed, mean, float(chdtrc(freedom, cubed * freedom / mean)))

    mean = d * (d + 2) * (n - 1) / (n + 1)
    variance = 8 * d * (d + 2) * (n - 3) * (n - d - 1) * (n - d + 1) / ((n + 1) ** 2 * (n + 3) * (n + 5))
    kurtosis = NormalityTest(fourth, mean, float(2 * ndtr(-abs(fourth - mean) / np.sqrt(variance))))

    value = henze_zirkler(z)
    mean, variance = _henze_zirkler_moments(n, d)
    spread = np.log1p(variance / mean**2)  # variance of the logarithm
    p_value = ndtr((np.log(mean) - np.log(value) - spread / 2) / np.sqrt(spread))
    return skewness, kurtosis, NormalityTest(value, mean, float(p_value))
