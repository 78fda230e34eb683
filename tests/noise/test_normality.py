"""The Gaussianity audit: statistics against slow twins, null distributions by simulation, exact kurtosis, power."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from helpers import assert_mean, error_message, gradients
from scipy.stats import beta, binom, kstest, lognorm, multivariate_normal

from icl_theory import LinearRegression, gradient_noise, normality_audit, random_weights
from icl_theory.noise.normality import _subset_means, mahalanobis_quantiles, subset_kurtosis
from icl_theory.noise.normality_tests import _henze_zirkler_moments, henze_zirkler, mardia, normality_tests, whitened
from icl_theory.truncation.module_truncation import truncate_weights

TASK = LinearRegression(2, noise_std=0.5)
TOKENS = TASK.sample_tokens(np.random.default_rng(0), np.array([[0.7, -1.1]]), 40)[0]
AUDIT: dict[str, Any] = {"shots": (1, 5, 20), "samples": 600, "key": 1}


def model(layers=1, seed=3):
    return random_weights(seed, layers=layers, token_dim=3, scale=1.0)


def twin(points):
    """Mardia's two and Henze and Zirkler's statistic from their definitions, pair by pair."""
    n, d = points.shape
    centred = points - points.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred / n)
    product = [[float(centred[i] @ inverse @ centred[j]) for j in range(n)] for i in range(n)]
    skewness = sum(product[i][j] ** 3 for i in range(n) for j in range(n)) / n**2
    kurtosis = sum(product[i][i] ** 2 for i in range(n)) / n
    beta = ((2 * d + 1) * n / 4) ** (1 / (d + 4)) / math.sqrt(2)
    pairs = [
        math.exp(-(beta**2) / 2 * (product[i][i] - 2 * product[i][j] + product[j][j]))
        for i in range(n)
        for j in range(n)
    ]
    single = [math.exp(-(beta**2) * product[i][i] / (2 * (1 + beta**2))) for i in range(n)]
    distance = sum(pairs) / n - 2 * (1 + beta**2) ** (-d / 2) * sum(single)
    return skewness, kurtosis, distance + n * (1 + 2 * beta**2) ** (-d / 2)


@pytest.mark.parametrize(("count", "dimension"), [(12, 1), (25, 3)])
def test_definitions(count, dimension):
    """Statistics against their definitions."""
    points = np.random.default_rng(count).standard_normal((count, dimension)) ** 3
    z = whitened(points)
    np.testing.assert_allclose([*mardia(z), henze_zirkler(z)], twin(points), rtol=1e-9)


def test_henze_zirkler():
    """n ∫ |φ_n(t) - e^{-t²/2}|² N(t; 0, β²) dt in one dimension, by quadrature."""
    z = whitened(np.random.default_rng(0).exponential(size=(30, 1)))
    beta = (3 * 30 / 4) ** 0.2 / math.sqrt(2)
    t = np.linspace(-12 * beta, 12 * beta, 20001)
    gap = np.abs(np.exp(1j * t[:, None] * z[:, 0]).mean(axis=1) - np.exp(-(t**2) / 2)) ** 2
    weight = np.exp(-(t**2) / (2 * beta**2)) / math.sqrt(2 * math.pi) / beta
    assert henze_zirkler(z) == pytest.approx(30 * np.trapezoid(gap * weight, t), rel=1e-9)


def test_affine_invariance(monkeypatch):
    """Statistics are affine invariant."""
    rng = np.random.default_rng(1)
    points, matrix = rng.laplace(size=(200, 4)), rng.standard_normal((4, 4))
    one, other = normality_tests(points), normality_tests(points @ matrix + 7.0)
    monkeypatch.setattr("icl_theory.noise.normality_tests._BLOCK_ENTRIES", 1000)
    blocks = normality_tests(points)
    for a, b, c in zip(one, other, blocks, strict=True):
        assert (a.value, a.p_value) == pytest.approx((b.value, b.p_value), rel=1e-7)
        assert a.value == pytest.approx(c.value, rel=1e-10)


def rejections(draw, repetitions, level):
    tests = [normality_tests(draw()) for _ in range(repetitions)]
    return [sum(test[k].p_value < level for test in tests) for k in range(3)], tests


@pytest.mark.parametrize(("count", "dimension"), [(150, 1), (150, 3), (200, 8)])
def test_null_rejection_rates(count, dimension):
    """Gaussian samples: a nominal 5 % must be between 2.5 % and 8 %, up to binomial fluctuation at 1e-6."""
    rng, repetitions = np.random.default_rng(dimension), 1200
    found, tests = rejections(lambda: rng.standard_normal((count, dimension)), repetitions, 0.05)
    for rejected in found:
        assert binom.ppf(1e-6, repetitions, 0.025) <= rejected <= binom.isf(1e-6, repetitions, 0.08)
    for k in range(3):
        values = np.array([test[k].value for test in tests])
        error = values.std(ddof=1) / math.sqrt(repetitions)
        assert abs(values.mean() - tests[0][k].expected) < 6 * error + (0.01 * values.mean() if k == 2 else 0)


@pytest.mark.slow
@pytest.mark.parametrize(("count", "dimension"), [(200, 2), (500, 6), (600, 21)])
def test_null_rejection(count, dimension):
    """Null rejection rates with many repetitions."""
    rng, repetitions = np.random.default_rng(dimension), 2000
    found, _ = rejections(lambda: rng.standard_normal((count, dimension)), repetitions, 0.05)
    for rejected in found:
        assert 0.02 < rejected / repetitions < 0.09


def test_lognormal_p_value():
    """The p-value of Henze and Zirkler is that of a log-normal law."""
    distance = normality_tests(np.random.default_rng(3).laplace(size=(60, 2)))[2]
    mean, variance = _henze_zirkler_moments(60, 2)
    shape = math.sqrt(math.log(1 + variance / mean**2))
    law = lognorm(s=shape, scale=mean / math.sqrt(1 + variance / mean**2))
    assert (law.mean(), law.var()) == pytest.approx((mean, variance))
    assert distance.p_value == pytest.approx(law.sf(distance.value), rel=1e-9)


def test_no_replacement():
    """Subsets are drawn without replacement."""
    points = whitened(np.random.default_rng(4).exponential(size=(12, 3)))
    for shots in (1, 5, 11):
        means = _subset_means(points, shots, 4000, np.random.default_rng(shots))
        factor = (12 - shots) / (shots * 11)
        assert_mean(means[:, :, None] * means[:, None, :], factor * np.eye(3))
    assert len(np.unique(_subset_means(points, 11, 500, np.random.default_rng(0)).round(9), axis=0)) == 12


def test_power():
    """Power against heavy tails and skewness."""
    rng = np.random.default_rng(5)
    laws = {"t5": lambda: rng.standard_t(5, (200, 3)), "exponential": lambda: rng.exponential(size=(200, 3))}
    for law in laws.values():
        found, _ = rejections(law, 40, 0.01)
        assert min(found) >= 30


def test_uniform_data():
    """Light tails: a kurtosis below d(d+2), where a one-sided test would see nothing."""
    _, kurtosis, _ = normality_tests(np.random.default_rng(6).uniform(size=(600, 2)))
    assert kurtosis.value < kurtosis.expected
    assert kurtosis.p_value < 1e-6


@pytest.mark.parametrize("count", [2, 4, 7])
def test_exact_kurtosis(count):
    """All subsets, covariance included; b and N - b are the same law up to an affine map."""
    points = np.random.default_rng(count).standard_normal((count, min(2, count - 1))) ** 3
    found = []
    for shots in range(1, count):
        means = np.array([points[list(s)].mean(axis=0) for s in itertools.combinations(range(count), shots)])
        centred = means - points.mean(axis=0)
        inverse = np.linalg.inv(centred.T @ centred / len(centred))
        expected = ((centred @ inverse * centred).sum(axis=1) ** 2).mean()
        found.append(subset_kurtosis(points, shots))
        assert found[-1] == pytest.approx(expected, rel=1e-10)
    np.testing.assert_allclose(found, found[::-1], rtol=1e-10)


def test_excess_falls():
    """With f = b/N the fourth cumulant has the factor (1 - f)(1 - 6f) + O(f²) beside 1/b³, and C² has (1 - f)²/b²."""
    points, shots = np.random.default_rng(8).exponential(size=(4000, 2)), np.array([1, 2, 5, 10])
    excess = np.array([subset_kurtosis(points, b) - 8 for b in shots.tolist()])
    np.testing.assert_allclose(excess * shots, excess[0] * (1 - 5 * shots / 4000), rtol=2 * 10 / 4000)


def test_audit_of_subset_means():
    """Shapes, quantiles, distance and kurtosis of the audit from its own sample."""
    records = normality_audit(model(), TOKENS, **AUDIT)
    assert [record.shots for record in records] == [1, 5, 20]
    for record in records:
        assert (record.dimension, record.demonstrations, record.samples) == (6, 40, 600)
        assert record.distances.shape == record.quantiles.shape == (600,)
        assert (np.diff(record.distances) >= 0).all()
        assert record.distances.mean() == pytest.approx(6.0)
        law = beta(6 / 2, (600 - 6 - 1) / 2, scale=599)
        assert record.distance == pytest.approx(kstest(record.distances, law.cdf).statistic, rel=1e-9)
        np.testing.assert_allclose(law.cdf(record.quantiles), (np.arange(600) + 0.5) / 600, rtol=1e-9)
        # the sample's kurtosis is that of the population of subsets; its spread from the distances themselves
        error = (record.distances**2).std() / math.sqrt(600)
        assert abs(record.kurtosis.value - record.exact_kurtosis * 599 / 601) < 6 * error
    first, _, last = records
    assert max(first.skewness.p_value, first.kurtosis.p_value, first.henze_zirkler.p_value) < 1e-6
    assert first.excess > 5 * abs(last.excess)
    assert first.distance > 2 * last.distance


def test_audited_points():
    """The definition: gradients written out, D² numbers each, restricted to their span; at layer 1 and 2.

    Truncated, so that the map of the second layer, first layer included, does not drop out.
    """
    for layer in (0, 1):
        member = truncate_weights(model(layers=2), layer=layer, module="value", rank=1)
        record = normality_audit(member, TOKENS, shots=(3,), samples=100, key=0, layer=layer)[0]
        rows = gradients(member, TOKENS, layer).reshape(40, -1)
        assert record.dimension == gradient_noise(member, TOKENS, shots=3, layer=layer).rank
        assert record.exact_kurtosis == pytest.approx(subset_kurtosis(rows, 3), rel=1e-7)


def test_invertible_weights():
    """Weights drop out where they are invertible and only there."""
    one, other = (normality_audit(model(seed=s), TOKENS, **AUDIT)[1] for s in (3, 4))
    assert one.henze_zirkler.value == pytest.approx(other.henze_zirkler.value, rel=1e-9)
    graded = model().replace(value=np.diag([1.0, 1e-6, 1e-10])[None])
    steep = normality_audit(graded, TOKENS, **AUDIT)[1]  # no digit is lost to the condition number
    assert steep.henze_zirkler.value == pytest.approx(one.henze_zirkler.value, rel=1e-10)
    cut = truncate_weights(model(), layer=0, module="value", rank=1)
    third = normality_audit(cut, TOKENS, **AUDIT)[1]
    assert third.dimension == 3
    assert third.exact_kurtosis != pytest.approx(one.exact_kurtosis, rel=0.1)


def test_simplex():
    """N - 1 < d_S: the rank is N - 1 and every population is the same regular simplex."""
    record = normality_audit(model(), TOKENS[:5], shots=(2,), samples=50, key=0)[0]
    assert record.dimension == 4
    assert record.exact_kurtosis == pytest.approx(subset_kurtosis(np.eye(5), 2), rel=1e-10)


def test_quantiles():
    """Of the n points of a sample (i - ½)/n lie below the i-th quantile on average: exact for every n."""
    rng, quantiles = np.random.default_rng(9), mahalanobis_quantiles(40, 3)
    squares = [(whitened(rng.standard_normal((40, 3))) ** 2).sum(axis=1) for _ in range(400)]
    below = np.mean(np.array(squares)[:, :, None] <= quantiles, axis=1)
    assert_mean(below, (np.arange(40) + 0.5) / 40)
    assert mahalanobis_quantiles(100_000, 3).mean() == pytest.approx(3.0, rel=1e-3)


def test_keys():
    """Equal keys give equal audits, other keys others."""
    one, again, other = (normality_audit(model(), TOKENS, shots=(1,), samples=60, key=k)[0] for k in (1, 1, 2))
    assert one.henze_zirkler == again.henze_zirkler != other.henze_zirkler


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shots": (0,)}, "shots: got 0"),
        ({"shots": (40,)}, "shots: got 40"),
        ({"samples": 8}, "samples: got 8"),
        ({"layer": 1}, "layer: got 1"),
    ],
)
def test_bad_options(changes, words):
    """Options out of range are errors that name the option."""
    options: dict[str, Any] = AUDIT | changes
    assert words in error_message(normality_audit, model(), TOKENS, **options)


def test_degenerate_input():
    """Degenerate input is an error."""
    assert "do not vary" in error_message(
        normality_audit, random_weights(0, layers=1, token_dim=3, scale=0.0), TOKENS, **AUDIT
    )
    flat = multivariate_normal(np.zeros(2)).rvs(50, random_state=0) @ np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    assert "1 dimensions" in error_message(normality_tests, flat)
    assert "number of points" in error_message(normality_tests, np.eye(4))
