"""Moments of the normality statistics under a Gaussian law, from independent sources.

Whitened points of a Gaussian sample are √n times an orthonormal frame, uniform among those orthogonal to 1, so that
z_i · z_j = n Q_ij with a random projection Q of rank d. Rank 1 and rank n - 2 have Q from one random direction, rank
n - 1 from none: there all moments are rational numbers. Henze and Zirkler's statistic tends to ∫ |Z(t)|² dN(t; 0, β²I)
with a Gaussian process Z, whose covariance determines mean and variance.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy.special import roots_gegenbauer
from scipy.stats import chi, chi2, norm

from icl_theory.noise.normality_tests import (
    _henze_zirkler_moments,
    _smoothing,
    normality_tests,
    statistics_of,
    whitened,
)

# --- Mardia ----------------------------------------------------------------------------------------------------------


def pairing(i: int, j: int, first: int, second: int, n: int) -> Fraction:
    """E g_i^first g_j^second for g ~ N(0, I - 11ᵀ/n), by Isserlis: k links between i and j, the rest within."""
    own, cross = Fraction(n - 1, n), Fraction(-1, n)
    if i == j:
        first, second = first + second, 0
    total = Fraction(0)
    for links in range(min(first, second) + 1):
        rest = (first - links, second - links)
        if rest[0] % 2 or rest[1] % 2:
            continue
        ways = math.comb(first, links) * math.comb(second, links) * math.factorial(links)
        within = math.prod(math.factorial(r) // (2 ** (r // 2) * math.factorial(r // 2)) for r in rest)
        total += ways * within * cross**links * own ** (sum(rest) // 2)
    return total


def sphere(first: int, second: int, n: int) -> Fraction:
    """Σ_ij E u_i^first u_j^second, u uniform on the unit sphere orthogonal to 1: g = |g| u, |g|² ~ χ² of n - 1."""
    gaussian = n * pairing(0, 0, first, second, n) + n * (n - 1) * pairing(0, 1, first, second, n)
    return gaussian / math.prod(n - 1 + 2 * k for k in range((first + second) // 2))


def mardia_moments(n: int, d: int) -> tuple[Fraction, Fraction, Fraction]:
    """E b₁, E b₂ and Var b₂ for d = 1, n - 2 and n - 1."""
    own, cross = Fraction(n - 1, n), Fraction(-1, n)
    fourth = sphere(4, 0, n) / n  # Σ_i E u_i⁴
    spread = sphere(4, 4, n) - fourth**2  # Var Σ u_i⁴
    cubes = n * own**3 + n * (n - 1) * cross**3  # Σ P_ij³ of P = I - 11ᵀ/n
    if d == n - 1:
        return n * cubes, n * n * own**2, Fraction(0)
    if d == 1:
        return n * sphere(3, 3, n), n * fourth, n**2 * spread
    # Q = P - u uᵀ; Σ P_ij² u_i u_j = own² - cross² and Σ P_ij u_i² u_j² = (own - cross) Σ u_i⁴ + cross.
    mixed = (own - cross) * fourth + cross
    skewness = n * (cubes - 3 * (own**2 - cross**2) + 3 * mixed - sphere(3, 3, n))
    return skewness, n * (n * own**2 - 2 * own + fourth), n**2 * spread


CASES = [(9, 1), (7, 5), (6, 4), (30, 1), (8, 6)]


@pytest.mark.parametrize(("n", "d"), [*CASES, (8, 5), (12, 3)])
def test_p_values(n, d):
    """The exact moments in rational arithmetic, or the published formulas in between, on a sample of that size."""
    points = np.random.default_rng(n).standard_normal((n, d)) ** 3
    if n < d + 3:  # an error of the public function, since nothing is left to test there; the formula is the same
        skewness, kurtosis, _ = statistics_of(whitened(points))
    else:
        skewness, kurtosis, _ = normality_tests(points)
    if (n, d) in CASES:
        mean_1, mean_2, variance = mardia_moments(n, d)
        assert skewness.expected == pytest.approx(float(mean_1), rel=1e-13)
        assert kurtosis.expected == pytest.approx(float(mean_2), rel=1e-13)
        if variance > 0:
            z = abs(kurtosis.value - float(mean_2)) / math.sqrt(float(variance))
            assert kurtosis.p_value == pytest.approx(2 * norm.sf(z), rel=1e-9)
    cubic = math.comb(d + 2, 3)  # the number of cubic monomials
    scaled = cubic * skewness.value / skewness.expected
    assert skewness.p_value == pytest.approx(chi2.sf(scaled, cubic), rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(8, 3), (20, 5)])
def test_kurtosis_variance(n, d):
    """In between the variance is c (d)(d + 2)(n - d - 1)(n - d + 1): two projections that add up to P share it."""

    def variance(d):
        z = whitened(np.random.default_rng(0).standard_normal((n, d)) ** 3)
        _, kurtosis, _ = statistics_of(z)
        return ((kurtosis.value - kurtosis.expected) / norm.isf(kurtosis.p_value / 2)) ** 2

    assert variance(d) == pytest.approx(variance(n - 1 - d), rel=1e-6)
    exact = float(mardia_moments(n, 1)[2]) / (3 * (n - 2) * n)
    assert variance(d) == pytest.approx(exact * d * (d + 2) * (n - d - 1) * (n - d + 1), rel=1e-6)


# --- Henze and Zirkler -----------------------------------------------------------------------------------------------


def covariance(s: np.ndarray, t: np.ndarray, product: Any) -> np.ndarray:
    """Cov(Z(s), Z(t)) = e^{-(|s|²+|t|²)/2} Σ_{k≥3} (s·t)^k / k!.

    cos s·x + sin s·x has the Hermite coefficients ± s^k e^{-|s|²/2} / √k! in the direction of s, and two such functions
    the covariance e^{-(|s|²+|t|²)/2} Σ_k (s·t)^k / k! = e^{-|s-t|²/2}; estimating mean and covariance takes away the
    degrees 0, 1 and 2, which leaves e^x - 1 - x - x²/2 of x = s·t, the `product`.
    """
    level = -(s**2 + t**2) / 2
    return np.exp(level + product) - np.exp(level) * (1 + product + product**2 / 2)


def limiting_moments(d: int, square: float) -> tuple[float, float]:
    """∫ K(t, t) dμ(t) and 2 ∫∫ K(s, t)² dμ(s) dμ(t) with μ = N(0, β² I): trace and Hilbert-Schmidt norm.

    |t| is β times a χ of d degrees of freedom, and the cosine of the angle between s and t has the density
    (1 - u²)^{(d-3)/2}; in one dimension it is ±1.
    """
    nodes, weight = np.polynomial.legendre.leggauss(60)
    length = 5 * (nodes + 1)  # from 0 to 10
    radius, weight = length * math.sqrt(square), 5 * weight * chi.pdf(length, d)
    if d == 1:
        cosine, angle = np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    else:
        # Chebyshev's rule at d = 2, where Gegenbauer's has no name for it.
        k = np.arange(80) + 0.5
        cosine, angle = (np.cos(np.pi * k / 80), np.full(80, 1 / 80)) if d == 2 else roots_gegenbauer(80, d / 2 - 1)
        angle = angle / angle.sum()
    mean = float(weight @ covariance(radius, radius, radius**2))
    s, t = radius[:, None, None], radius[None, :, None]
    kernel = covariance(s, t, s * t * cosine)
    return mean, float(2 * np.einsum("i,j,k,ijk->", weight, weight, angle, kernel**2))


@pytest.mark.parametrize(("count", "d"), [(20, 1), (60, 2), (500, 2), (100, 3), (200, 6)])
def test_henze_zirkler_moments(count, d):
    """Henze and Zirkler's mean and variance are those of the limiting process."""
    square = _smoothing(count, d)
    assert square == pytest.approx(0.5 * ((2 * d + 1) * count / 4) ** (2 / (d + 4)), rel=1e-14)
    assert _henze_zirkler_moments(count, d) == pytest.approx(limiting_moments(d, square), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "d"), [(100, 1), (200, 2), (200, 4)])
def test_simulated_moments(count, d):
    """6000 Gaussian samples: mean and variance of all three statistics; Henze and Zirkler's are asymptotic."""
    rng = np.random.default_rng(d)
    tests = [normality_tests(rng.standard_normal((count, d))) for _ in range(6000)]
    for k, room in enumerate((0.0, 0.0, 0.02)):
        values = np.array([test[k].value for test in tests])
        error = values.std(ddof=1) / math.sqrt(len(values))
        assert abs(values.mean() - tests[0][k].expected) < 4 * error + room * values.mean()
    values = np.array([test[2].value for test in tests])
    assert values.var(ddof=1) == pytest.approx(_henze_zirkler_moments(count, d)[1], rel=0.15)
