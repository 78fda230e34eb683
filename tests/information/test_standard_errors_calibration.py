"""The numbers of a calibration again from its draws: biases, error ratios, coverage; nearest neighbours' error."""

import math
from dataclasses import replace

import numpy as np
import pytest
from influences import error_of_mean
from scipy.special import digamma, logsumexp
from scipy.stats import beta

from icl_theory import ksg_mutual_information
from icl_theory.information.estimators.calibration import _Table, calibrate
from icl_theory.information.estimators.known_channels import FAMILIES
from icl_theory.information.estimators.sandwich import sandwich

PAIRS, REPETITIONS, Z, KEY = 24, 30, 0.8, 13
CHANNEL = FAMILIES["gaussian"](1, 1.0)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    """Lower end, its error, upper end, its error, KSG, by repetition; one generator serves them all."""
    rng, found = np.random.default_rng(KEY), []
    for _ in range(REPETITIONS):
        inputs, outputs, log_p = CHANNEL.draw(rng, PAIRS)
        ends, own = sandwich([_Table(log_p)]), np.diagonal(log_p)
        others = [np.delete(log_p[i], i) for i in range(PAIRS)]
        lower = np.mean([own[i] - logsumexp(log_p[i]) + math.log(PAIRS) for i in range(PAIRS)])
        upper = np.mean([own[i] - logsumexp(others[i]) + math.log(PAIRS - 1) for i in range(PAIRS)])
        near = ksg_mutual_information(inputs, outputs).value
        found.append((lower, ends.lower.stderr, upper, ends.upper.stderr, near))
    return np.array(found).T


def test_calibration(rows):
    """Every number of a calibration."""
    record = calibrate(CHANNEL, pairs=PAIRS, repetitions=REPETITIONS, key=KEY, z=Z)
    (lower, lower_error, upper, upper_error, near), truth = rows, CHANNEL.information
    for bias, values in ((record.lower_bias, lower), (record.upper_bias, upper), (record.ksg_bias, near)):
        assert bias is not None
        assert bias.value == pytest.approx(values.mean() - truth, rel=1e-9)
        assert bias.stderr == pytest.approx(error_of_mean(values), rel=1e-9)
        assert (bias.samples, bias.direction, bias.unit) == (REPETITIONS, "unbiased", "nats")
    spreads = [error_of_mean(values) * math.sqrt(REPETITIONS) for values in (lower, upper)]
    assert record.lower_error_ratio == pytest.approx(lower_error.mean() / spreads[0], rel=1e-9)
    assert record.upper_error_ratio == pytest.approx(upper_error.mean() / spreads[1], rel=1e-9)
    below, above = lower - Z * lower_error <= truth, truth <= upper + Z * upper_error
    assert record.lower_coverage == pytest.approx(below.mean())
    assert record.upper_coverage == pytest.approx(above.mean())
    assert record.coverage == pytest.approx((below & above).mean())
    assert 0 < record.coverage < min(record.lower_coverage, record.upper_coverage) < 1  # the three differ
    assert (lower - Z * upper_error <= truth).sum() != below.sum()  # and each end needs its own error
    assert (truth <= upper + Z * lower_error).sum() != above.sum()
    assert record.width == pytest.approx((upper - lower).mean(), rel=1e-9)
    row = record.row()
    for name in ("lower_bias", "upper_bias", "ksg_bias"):
        bias = getattr(record, name)
        assert (row[name], row[f"{name}_stderr"]) == (bias.value, bias.stderr)
    assert (row["coverage_low"], row["coverage_high"]) == record.coverage_interval()


@pytest.mark.parametrize("level", [0.99, 0.8])
def test_interval_of_a_coverage(level):
    """Clopper and Pearson by quantiles of beta laws."""
    record = calibrate(CHANNEL, pairs=PAIRS, repetitions=REPETITIONS, key=KEY, z=Z)
    inside = round(record.coverage * REPETITIONS)
    low = beta.ppf((1 - level) / 2, inside, REPETITIONS - inside + 1)
    high = beta.ppf((1 + level) / 2, inside + 1, REPETITIONS - inside)
    assert record.coverage_interval(level) == pytest.approx((low, high), rel=1e-9)


def test_informative():
    """Informative is a share of the information."""
    record = calibrate(CHANNEL, pairs=PAIRS, repetitions=REPETITIONS, key=KEY)
    twice = replace(CHANNEL, information=2.0)
    assert replace(record, width=0.5).informative()
    assert not replace(record, width=0.51).informative()
    assert replace(record, width=0.99, channel=twice).informative()


@pytest.mark.parametrize(("p", "q", "k"), [(1, 2, 3), (2, 1, 1)])
def test_ksg_error(p, q, k):
    """Term by term from the definition: the spread of K numbers, as if they were independent."""
    rng = np.random.default_rng(p)
    x = rng.standard_normal((60, p))
    y = x[:, :1] + rng.standard_normal((60, q))
    x, y = x / x.std(0), y / y.std(0)
    terms = []
    for i in range(60):
        apart = [max(abs(x[j] - x[i]).max(), abs(y[j] - y[i]).max()) for j in range(60) if j != i]
        radius = sorted(apart)[k - 1]
        near = [sum(abs(v[j] - v[i]).max() < radius for j in range(60) if j != i) for v in (x, y)]
        terms.append(digamma(k) + digamma(60) - digamma(near[0] + 1) - digamma(near[1] + 1))
    found = ksg_mutual_information(x, y, neighbours=k)
    assert found.value == pytest.approx(np.mean(terms), rel=1e-12)
    assert found.stderr == pytest.approx(error_of_mean(terms), rel=1e-10)
    assert (found.samples, found.unit) == (60, "nats")
