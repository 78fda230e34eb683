"""Channels of known information, the sandwich's calibration on them, and the nearest-neighbour cross-check."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.stats
from helpers import error_message
from scipy.integrate import quad
from scipy.special import digamma
from scipy.stats import binom, norm

from icl_theory import LinearRegression, mutual_information, random_weights
from icl_theory.information.estimators.calibration import _Table, calibrate, calibration_table, informative_limits
from icl_theory.information.estimators.channel import SharedChannel
from icl_theory.information.estimators.known_channels import (
    FAMILIES,
    LAWS,
    KnownChannel,
    known_channels,
    scalar_information,
    variance_information,
)
from icl_theory.information.estimators.sandwich import sandwich
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting

stats: Any = scipy.stats  # its distributions have no usable types
ONE_NAT = {name: make(2, 1.0) for name, make in FAMILIES.items()}


def rng(seed=0):
    return np.random.default_rng(seed)


def marginal(family, outputs):
    """log p(w) of the Gaussian channels in ONE_NAT: the noise variance times 1 + s = e (1 nat in 2 dimensions)."""
    inner = np.cbrt(outputs) if family == "mapped" else outputs
    jacobian = np.log(3 * inner**2).sum(axis=1) if family == "mapped" else 0.0
    noise = 1 / 3 if family == "observations" else 1.0
    return norm.logpdf(inner, scale=math.sqrt(noise * math.e)).sum(axis=1) - jacobian


@pytest.mark.parametrize("family", ["gaussian", "observations", "mapped"])
def test_gaussian_families(family):
    """E log p(w|H) / p(w), where observations are reduced to their mean."""
    terms = []
    for seed in range(20):
        _, outputs, log_p = ONE_NAT[family].draw(rng(seed), 200)
        if family == "observations":  # density of three observations → density of their mean: the sufficient statistic
            log_p = mean_of_observations(seed)
        terms.append(np.diagonal(log_p) - marginal(family, outputs))
    terms = np.concatenate(terms)
    assert abs(terms.mean() - 1.0) < 6 * terms.std() / math.sqrt(len(terms))


def mean_of_observations(seed):
    means, outputs, _ = ONE_NAT["observations"].draw(rng(seed), 200)
    return norm.logpdf(outputs[:, None] - means[None], scale=math.sqrt(1 / 3)).sum(axis=-1)


def test_observations_and_mean():
    """Observations differ from their mean by nothing that depends on the input."""
    _, _, log_p = ONE_NAT["observations"].draw(rng(3), 200)
    difference = log_p - mean_of_observations(3)
    np.testing.assert_allclose(difference, difference[:, :1].repeat(200, axis=1), atol=1e-10)


def test_anisotropic_spectrum():
    """Three variances a factor of 10^1.5 apart, of two nats together."""
    channel = FAMILIES["anisotropic"](3, 2.0)
    means = np.concatenate([channel.draw(rng(seed), 200)[0] for seed in range(50)])
    variances = means.var(axis=0)
    np.testing.assert_allclose(variances[:-1] / variances[1:], 10**1.5, rtol=0.12)  # 6 of sqrt(4 / 10 000)
    assert 0.5 * np.log1p(variances).sum() == pytest.approx(2.0, abs=0.06)


PRIORS = {
    "uniform": lambda m, a: (abs(m) < a) / (2 * a),
    "laplace": lambda m, a: math.exp(-abs(m) / a) / (2 * a),
    "exponential": lambda m, a: math.exp(-m / a) / a if m > 0 else 0.0,
}


@pytest.mark.parametrize("law", list(PRIORS))
@pytest.mark.parametrize("scale", [0.3, 1.0, 4.0])
def test_scalar_densities(law, scale):
    """Densities of scalar laws are the mixtures."""
    density, sample, _ = LAWS[law]
    breaks = sorted({-40 * scale, -scale, 0.0, scale, 40 * scale})  # where a prior jumps or has a corner, and its ends
    for w in (-2.0, 0.1, 3.0):

        def integrand(m, w=w):
            return PRIORS[law](m, scale) * math.exp(-0.5 * (w - m) ** 2) / math.sqrt(2 * math.pi)

        parts = [
            quad(integrand, *ends, epsabs=1e-14, epsrel=1e-11, limit=200)[0] for ends in itertools.pairwise(breaks)
        ]
        assert math.exp(density(np.array(w), scale)) == pytest.approx(sum(parts), rel=1e-10)
    noise = rng(1).standard_normal(20_000)
    terms = norm.logpdf(noise) - density(scale * sample(rng(), (20_000,)) + noise, scale)
    assert abs(terms.mean() - scalar_information(law, scale)) < 6 * terms.std() / math.sqrt(20_000)


def test_binary_information():
    """Binary information by another quadrature and at its ends."""

    def integrand(w, sign):
        ratio = norm.pdf(w - sign * 0.8) / (0.5 * norm.pdf(w - 0.8) + 0.5 * norm.pdf(w + 0.8))
        return 0.5 * norm.pdf(w - sign * 0.8) * math.log(ratio)

    total = sum(quad(integrand, -12, 12, args=(sign,))[0] for sign in (-1, 1))
    assert scalar_information("binary", 0.8) == pytest.approx(total, rel=1e-8)
    assert scalar_information("binary", 8.0) == pytest.approx(math.log(2), rel=1e-10)
    assert scalar_information("binary", 0.01) == pytest.approx(0.01**2 / 2, rel=1e-3)


def test_wishart_information():
    """Inverse wishart information against scipy."""
    for dimension, freedom in ((1, 1.7), (3, 4.5), (6, 40.0)):
        tail = freedom - dimension + 1
        entropy = stats.multivariate_t(shape=np.eye(dimension) / tail, df=tail).entropy()
        log_det = -digamma((freedom - np.arange(dimension)) / 2).sum() - dimension * math.log(2)
        conditional = 0.5 * (dimension * math.log(2 * math.pi * math.e) + log_det)
        assert variance_information(dimension, freedom) == pytest.approx(float(entropy) - conditional, rel=1e-8)
    draws = stats.invwishart(df=8, scale=np.eye(3)).rvs(4000, random_state=0)
    sampled = np.linalg.slogdet(draws)[1]
    exact = -digamma((8 - np.arange(3)) / 2).sum() - 3 * math.log(2)
    assert abs(sampled.mean() - exact) < 6 * sampled.std() / math.sqrt(4000)


def test_wishart_draws():
    """Densities pair by pair, and the marginal law of the output: a t law whose information is the one claimed."""
    channel = FAMILIES["inverse_wishart"](2, 1.0)
    inputs, outputs, log_p = channel.draw(rng(), 5)
    means, roots = inputs[:, :2], inputs[:, 2:].reshape(5, 2, 2)
    expected = [
        [stats.multivariate_normal(m, r @ r.T).logpdf(w) for m, r in zip(means, roots, strict=True)] for w in outputs
    ]
    np.testing.assert_allclose(log_p, expected, rtol=1e-9)
    precisions = [np.linalg.inv(channel.draw(rng(seed), 200)[0][:, 2:].reshape(-1, 2, 2)) for seed in range(30)]
    squares = (np.concatenate(precisions) ** 2).sum(axis=1)  # diagonal of Σ⁻¹ = root⁻ᵀ root⁻¹, of mean ν
    error = squares.std(axis=0) / math.sqrt(len(squares))
    spread = math.expm1(0.5)  # (d/2) log(1 + 1/κ) = ½
    own, total = [], []
    for seed in range(30):
        inputs, outputs, log_p = channel.draw(rng(seed), 200)
        own.append(np.diagonal(log_p))
        total.append(outputs)
    freedom = next(f for f in np.linspace(1.01, 60, 400_000) if variance_information(2, f) < 0.5)
    assert (np.abs(squares.mean(axis=0) - freedom) < 6 * error).all()
    law = stats.multivariate_t(shape=np.eye(2) * (1 + spread) / (freedom - 1), df=freedom - 1)
    terms = np.concatenate(own) - law.logpdf(np.concatenate(total))
    assert abs(terms.mean() - 1.0) < 6 * terms.std() / math.sqrt(len(terms))


def test_public_sandwich():
    """`mutual_information` of means and covariances gives what the matrix of log densities gives."""
    means, outputs, log_p = ONE_NAT["laplace"].draw(rng(), 60)
    shared = mutual_information(outputs, means, np.broadcast_to(np.eye(2), (60, 2, 2)))
    table = sandwich([_Table(log_p)])
    for end in ("lower", "upper"):
        assert getattr(table, end).value == pytest.approx(getattr(shared, end).value, rel=1e-10)
        assert getattr(table, end).stderr == pytest.approx(getattr(shared, end).stderr, rel=1e-9)
    inputs, outputs, log_p = ONE_NAT["inverse_wishart"].draw(rng(), 60)
    roots = inputs[:, 2:].reshape(60, 2, 2)
    shared = mutual_information(outputs, inputs[:, :2], roots @ roots.swapaxes(1, 2))
    assert sandwich([_Table(log_p)]).upper.value == pytest.approx(shared.upper.value, rel=1e-8)


def test_monotone_maps():
    """Monotone maps leave the sandwich and move the neighbours."""
    plain, mapped = (calibrate(ONE_NAT[name], pairs=64, repetitions=20, key=5) for name in ("gaussian", "mapped"))
    assert plain.lower_bias.value == pytest.approx(mapped.lower_bias.value, rel=1e-9)
    assert plain.upper_bias.value == pytest.approx(mapped.upper_bias.value, rel=1e-9)
    assert plain.coverage == mapped.coverage
    assert plain.ksg_bias is not None
    assert mapped.ksg_bias is not None
    assert mapped.ksg_bias.value < plain.ksg_bias.value - 0.2


@pytest.mark.parametrize("name", list(FAMILIES))
@pytest.mark.parametrize(("dimension", "nats"), [(4, 0.05), (8, 1.0), (16, 3.0)])
def test_bias_and_coverage(name, dimension, nats):
    """200 repetitions at K = 64: bias on the right side, coverage at 1.96 errors not below 92 %, flag right."""
    record = calibrate(FAMILIES[name](dimension, nats), pairs=64, repetitions=200, key=1)
    assert record.lower_bias.value < 6 * record.lower_bias.stderr
    assert record.upper_bias.value > -6 * record.upper_bias.stderr
    assert round(record.coverage * 200) >= binom.ppf(1e-6, 200, 0.92)
    assert record.coverage_interval()[0] <= record.coverage <= record.coverage_interval()[1]
    assert record.coverage <= min(record.lower_coverage, record.upper_coverage)
    assert (record.flag_missing, record.flag_false) == (0.0, 0.0)


def test_layer_channel():
    """200 sandwiches at K = 64 of a real noisy gradient against large ones: I has no closed form there."""
    setting = Setting(random_weights(0, layers=1, token_dim=2, scale=2.0), LinearRegression(1), np.ones(1), 24, 6)

    def pairs(generator, count):
        draws = draw(setting, generator, count)
        layer = simulate(setting, draws).layers[0]
        means = draws.moments @ layer.maps[0].T
        channel = SharedChannel.of(layer.outputs[:, None], means, layer.maps @ draws.noise_root)
        return means, layer.outputs, channel.log_density(slice(0, count))

    large = [sandwich([_Table(pairs(rng(seed), 1500)[2])]) for seed in range(4)]
    low, high = (float(np.mean([getattr(ends, end).value for ends in large])) for end in ("lower", "upper"))
    assert high - low < 0.02
    record = calibrate(KnownChannel("layer", 1, (low + high) / 2, pairs), pairs=64, repetitions=200, key=0)
    assert round(record.coverage * 200) >= binom.ppf(1e-6, 200, 0.92)
    assert record.upper_error_ratio == pytest.approx(1.0, abs=0.25)


def test_coverage_can_fail():
    """The same draws against an information that is wrong by a third."""
    channel = FAMILIES["gaussian"](8, 1.0)
    assert calibrate(replace(channel, information=1.5), pairs=128, repetitions=50, key=1).upper_coverage < 0.5
    assert calibrate(replace(channel, information=0.5), pairs=128, repetitions=50, key=1).lower_coverage < 0.5


def test_far_above_log_k():
    """Far above log K only the upper end is informative."""
    record = calibrate(FAMILIES["gaussian"](16, 20.0), pairs=64, repetitions=30, key=2)
    assert record.saturated == 1.0
    assert not record.informative()
    assert record.lower_bias.value == pytest.approx(math.log(64) - 20, abs=0.01)
    assert record.upper_bias.value > 20


@pytest.mark.parametrize(
    ("name", "dimension"), [("gaussian", 1), ("gaussian", 64), ("exponential", 64), ("observations", 16)]
)
@pytest.mark.parametrize("pairs", [32, 256])
def test_flag(name, dimension, pairs):
    """The flag is raised wherever I exceeds log K."""
    record = calibrate(FAMILIES[name](dimension, 1.001 * math.log(pairs)), pairs=pairs, repetitions=20, key=3)
    assert (record.saturated, record.flag_missing) == (1.0, 0.0)


def test_wrong_flags(monkeypatch):
    """A margin of one nat misses channels above log K, one of four nats flags channels far below."""
    monkeypatch.setattr("icl_theory.information.estimators.sandwich.SATURATION_MARGIN", 1.0)
    above = calibrate(FAMILIES["gaussian"](64, 4.4), pairs=64, repetitions=60, key=3)
    assert above.flag_missing == pytest.approx(1 - above.saturated)
    assert 0 < above.flag_missing < 1
    monkeypatch.setattr("icl_theory.information.estimators.sandwich.SATURATION_MARGIN", 4.0)
    below = calibrate(FAMILIES["gaussian"](4, 1.0), pairs=64, repetitions=60, key=3)
    assert below.flag_false == below.saturated > 0.5


def test_table():
    """Combinations that exist, progress, and draws that do not depend on the other channels."""
    channels = known_channels(("gaussian", "binary", "anisotropic"), (1, 4), (0.1, 2.0, 20.0))
    names = [(c.family, c.dimension, c.information) for c in channels]
    assert ("binary", 1, 2.0) not in names
    assert ("binary", 4, 2.0) in names
    assert not [n for n in names if n[:2] == ("anisotropic", 1)]
    seen = []
    records = calibration_table(channels, pairs=32, repetitions=4, key=7, progress=lambda *a: seen.append(a))
    assert [r.channel for r in records] == channels
    assert seen[0] == (channels[0].name, 0, len(channels))
    alone = calibration_table(channels[3:4], pairs=32, repetitions=4, key=7)[0]
    assert alone.row() == records[3].row()
    assert calibration_table(channels[3:4], pairs=32, repetitions=4, key=8)[0].row() != alone.row()
    limits = informative_limits(records)
    assert limits["gaussian", 4, 32] < 20.0
    half = replace(records[0], width=0.6 * records[0].channel.information)
    assert (half.informative(), half.informative(0.61)) == (False, True)
    row = records[-1].row()
    assert {"family", "dimension", "information", "coverage", "lower_bias", "upper_bias_stderr", "ksg_bias"} <= set(row)
    assert all(isinstance(v, str | int | float | bool | None) for v in row.values())


def test_unfit_channels():
    """Unfit channels are errors."""
    channel = ONE_NAT["gaussian"]
    assert "pairs: got 3" in error_message(calibrate, channel, pairs=3, repetitions=5, key=0)
    assert "repetitions: got 1" in error_message(calibrate, channel, pairs=30, repetitions=1, key=0)
    assert "z: got 0" in error_message(calibrate, channel, pairs=30, repetitions=5, key=0, z=0)
    assert "family" in error_message(known_channels, ("cauchy",), (1,), (1.0,))
    assert "dimension: got 0" in error_message(known_channels, ("gaussian",), (0,), (1.0,))
    assert "information: got 0" in error_message(known_channels, ("gaussian",), (1,), (0,))


def test_options_passed_on():
    """With a vanishing z hardly any end is on its side of the truth, with an enormous one every end is."""
    channels = known_channels(("gaussian", "anisotropic"), (2,), (0.5,))
    narrow, wide = (calibration_table(channels, pairs=32, repetitions=20, key=1, z=z) for z in (1e-9, 1e3))
    for low, high in zip(narrow, wide, strict=True):
        assert low.lower_bias == high.lower_bias  # the same draws
        assert low.coverage < 1.0
        assert high.coverage == 1.0
    assert {record.pairs for record in narrow} == {32}
    assert {record.repetitions for record in narrow} == {20}
