"""Information of a sum about a single token: Wishart entropies, a variance-gamma law by slow integrals, limits."""

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from helpers import error_message
from scipy.integrate import quad
from scipy.special import k0e
from scipy.stats import wishart

from icl_theory.information.forward_pass import single_token
from icl_theory.information.forward_pass.single_token import readout_information, second_moment_information


@pytest.mark.parametrize(("count", "dimension"), [(3, 2), (9, 6), (10, 1), (50, 3), (80, 6)])
def test_wishart_entropies(count: int, dimension: int) -> None:
    """scipy's entropies of N and of N - 1 tokens."""
    scale = np.eye(dimension)
    expected = wishart.entropy(count, scale) - wishart.entropy(count - 1, scale)
    assert second_moment_information(count, dimension) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("count", "dimension"), [(7, 6), (59, 2), (61, 2), (62, 6), (1000, 6), (100_000, 3), (1_000_000, 21)]
)
def test_high_precision(count: int, dimension: int) -> None:
    """The same difference of entropies in sixty digits; about D(D+1)/(4N)."""
    with mp.workdps(60):

        def entropy(n: int) -> Any:
            log_gamma = dimension * (dimension - 1) / mp.mpf(4) * mp.log(mp.pi)
            log_gamma += mp.fsum(mp.loggamma(mp.mpf(n - i) / 2) for i in range(dimension))
            digamma = mp.fsum(mp.digamma(mp.mpf(n - i) / 2) for i in range(dimension))
            volume = dimension * (dimension + 1) / mp.mpf(2) * mp.log(2)
            return volume + log_gamma - mp.mpf(n - dimension - 1) / 2 * digamma + mp.mpf(n * dimension) / 2

        expected = float(entropy(count) - entropy(count - 1))
    found = second_moment_information(count, dimension)
    assert found == pytest.approx(expected, rel=1e-12)
    if count >= 100_000:
        assert found == pytest.approx(dimension * (dimension + 1) / (4 * count), rel=0.01)


def test_without_density() -> None:
    """+inf for N - 1 < D, where the other tokens have no density."""
    assert [second_moment_information(n, 6) == math.inf for n in (1, 5, 6, 7)] == [True, True, True, False]


def test_closed_forms() -> None:
    """Two products of independent normals sum to a Laplace law, of entropy 1 + log 2."""
    assert single_token._entropy(2, 1, 0.0) == pytest.approx(1 + math.log(2), rel=1e-13)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_correlated_pair(rho: float) -> None:
    """One and two products of correlated normals: densities exp(ρ z/c) K_0(|z|/c)/(π √c) and, c = 1 - ρ²,
    exp((ρ z - |z|)/c)/2, an asymmetric Laplace law of entropy 1 + log 2."""
    c = 1 - rho**2

    def integrand(z: float) -> float:
        log = rho * z / c - abs(z) / c + math.log(k0e(abs(z) / c) / (math.pi * math.sqrt(c)))
        return -math.exp(log) * log

    parts = [(0, 1e-6), (1e-6, 1e-2), (1e-2, 1), (1, 400)]
    single = sum(quad(integrand, *part, limit=200)[0] for part in parts)
    single += sum(quad(lambda z: integrand(-z), *part, limit=200)[0] for part in parts)
    assert readout_information(2, 1, rho**2) == pytest.approx(1 + math.log(2) - single, rel=1e-6)


@pytest.mark.parametrize(("count", "drift"), [(1, 0.4), (3, 0.0), (6, 2.0)])
def test_entropy_by_mixing(count: int, drift: float) -> None:
    """m = 1: the density as a mixture over q ~ χ²_N, its entropy by quadrature; no Bessel function."""

    def density(s: float) -> float:
        constant = 2 ** (count / 2) * math.gamma(count / 2) * math.sqrt(2 * math.pi)

        def term(u: float) -> float:  # q = u², so that the integrand is smooth at 0
            q = u * u
            return 2 * u ** (count - 2) * math.exp(-q / 2 - (s - math.sqrt(drift) * q) ** 2 / (2 * q)) / constant

        return quad(term, 0, math.inf, epsabs=1e-14, epsrel=1e-11, limit=200)[0]

    def integrand(s: float) -> float:
        value = density(s)
        return -value * math.log(value) if value > 0 else 0.0

    parts = [(-60, -1), (-1, -1e-3), (-1e-3, 0), (0, 1e-3), (1e-3, 1), (1, 20), (20, 200)]
    expected = sum(quad(integrand, *part, epsabs=1e-9, epsrel=1e-9, limit=400)[0] for part in parts)
    assert single_token._entropy(count, 1, drift) == pytest.approx(expected, rel=3e-6)


@pytest.mark.parametrize(("count", "dimension", "drift"), [(4, 2, 0.7), (10, 5, 20.0), (3, 3, 0.5), (200, 5, 20.0)])
def test_entropy_by_mpmath(count: int, dimension: int, drift: float) -> None:
    """The radial integral with mpmath's Bessel functions in thirty digits, orders up to a hundred."""
    with mp.workdps(30):
        expected = slow_entropy(count, dimension, drift)
    assert single_token._entropy(count, dimension, drift) == pytest.approx(expected, rel=1e-11)


def slow_entropy(count: int, dimension: int, drift: float) -> float:
    """h(s) by the trapezoidal rule in log |s|, e^{m·s} integrated over spheres."""
    half = mp.mpf(dimension) / 2
    order, kappa, m = mp.mpf(count) / 2 - half, mp.sqrt(1 + drift), mp.sqrt(drift)
    constant = mp.log(2) * (1 - mp.mpf(count) / 2) - mp.loggamma(mp.mpf(count) / 2) - half * mp.log(2 * mp.pi)

    def integrand(t: Any) -> Any:
        """Density of log r and minus its logarithm's mean, e^{m·s} aside."""
        r = mp.e**t
        log = constant + order * mp.log(r / kappa) + mp.log(mp.besselk(order, kappa * r))
        sphere = (2 * mp.pi * r) ** half * m ** (1 - half) * mp.besseli(half - 1, m * r)
        return mp.matrix([1, -log]) * r * sphere * mp.e**log

    top = mp.log(mp.sqrt(count * dimension + drift * count * (count + 2)))
    # Trapezoidal, where every term to the left is below e^{-N |t|} and to the right below e^{-r/2}.
    step, below, above = (mp.mpf("0.05"), 16, 4) if count < 20 else (mp.mpf("0.02"), mp.mpf("1.1"), mp.mpf("0.8"))
    total = mp.matrix([0, 0])
    for k in range(int(-below / step), int(above / step)):
        total += step * integrand(top + k * step)
    assert float(total[0]) == pytest.approx(1, rel=1e-12)
    return float(total[1] - drift * count)


def test_readout_limits() -> None:
    """About m/(2N) for many tokens, more for correlated ones, and increasing in m."""
    assert readout_information(400, 5) == pytest.approx(5 / 800, rel=0.02)
    by_share = [readout_information(20, 5, share) for share in (0.0, 0.5, 0.9, 0.99, 0.9999, 1 - 1e-6)]
    assert by_share == sorted(by_share)
    assert by_share[-1] == pytest.approx(by_share[-2], rel=1e-4)
    by_rank = [readout_information(20, m) for m in range(1, 6)]
    assert by_rank == sorted(by_rank)


def test_errors() -> None:
    """Numbers out of range."""
    assert "dimension" in error_message(second_moment_information, 5, 0)
    assert "demonstrations" in error_message(readout_information, 1, 2)
    assert "correlation" in error_message(readout_information, 9, 2, 1.0)
