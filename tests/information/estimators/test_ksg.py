"""The nearest-neighbour estimate: a slow twin, Gaussian pairs, projections, rejected in a bound."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import error_message
from scipy.special import digamma

from icl_theory import LinearRegression, ksg_mutual_information, mutual_information, random_weights
from icl_theory.core.estimate import generalization_bound
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting


def rng(seed=0):
    return np.random.default_rng(seed)


def ksg_twin(x, y, k):
    """Algorithm 1 of Kraskov et al., point by point."""
    count, total = len(x), 0.0
    for i in range(count):
        apart = [max(abs(x[j] - x[i]).max(), abs(y[j] - y[i]).max()) for j in range(count) if j != i]
        radius = sorted(apart)[k - 1]
        near = [sum(abs(v[j] - v[i]).max() < radius for j in range(count) if j != i) for v in (x, y)]
        total += digamma(near[0] + 1) + digamma(near[1] + 1)
    return digamma(k) + digamma(count) - total / count


@pytest.mark.parametrize(("p", "q", "k"), [(1, 1, 3), (2, 3, 1), (3, 1, 5)])
def test_slow_twin(p, q, k):
    """Nearest neighbours against a slow twin, in units of the standard deviations."""
    x = 7.0 * rng(p).standard_normal((80, p)) + 2.0
    y = x[:, :1] + rng(9).standard_normal((80, q))
    expected = ksg_twin(x / x.std(0), y / y.std(0), k)
    assert ksg_mutual_information(x, y, neighbours=k).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.9])
def test_gaussian_pairs(correlation):
    """Nearest neighbours on Gaussian pairs."""
    truth = -0.5 * math.log(1 - correlation**2)
    values = []
    for seed in range(20):
        x, noise = rng(seed).standard_normal((2, 1000))
        values.append(ksg_mutual_information(x, correlation * x + math.sqrt(1 - correlation**2) * noise).value)
    assert abs(np.mean(values) - truth) < 6 * np.std(values, ddof=1) / math.sqrt(20) + 0.01


def test_never_in_a_bound():
    """A nearest-neighbour estimate is rejected as a bound."""
    x = rng().standard_normal((100, 2))
    estimate = ksg_mutual_information(x, x + rng(1).standard_normal((100, 2)))
    assert (estimate.direction, estimate.samples) == ("biased", 100)
    assert "biased" in str(estimate)
    assert "biased estimate" in error_message(generalization_bound, estimate, range_constant=1.0, demonstrations=10)


def test_projection():
    """The first coordinate of S and of the noisy W carries less than all of them: data processing on a real channel."""
    task = LinearRegression(2, noise_std=0.5)
    setting = Setting(random_weights(2, layers=1, token_dim=3, scale=2.0), task, np.array([0.7, -1.1]), 24, 6)
    draws = draw(setting, rng(), 800)
    layer = simulate(setting, draws).layers[0]
    covariances = layer.maps @ draws.noise_root
    means = draws.moments @ layer.maps[0].T
    ends = mutual_information(layer.outputs, means, covariances @ covariances.swapaxes(1, 2))
    part = ksg_mutual_information(means[:, 0], layer.outputs[:, 0])
    assert 0.02 < part.value < ends.upper.value


BAD_PAIRS: list[tuple[Any, Any, dict[str, Any], str]] = [
    (np.ones((20, 4)), np.ones((20, 1)), {}, "x: got dimension 4, expected at most 3"),
    (np.ones((20, 1)), np.ones((20, 5)), {}, "y: got dimension 5"),
    (np.ones((20, 1)), np.ones((19, 1)), {}, "y: got 19 draws"),
    (np.ones((20, 1)), np.ones((20, 1)), {}, "a value that occurs twice"),
    (np.arange(20.0), np.arange(20.0), {"neighbours": 20}, "neighbours: got 20"),
    (np.full(20, np.nan), np.ones(20), {}, "NaN"),
    (np.ones(2), np.ones(2), {}, "number of pairs K: got 2"),
]


@pytest.mark.parametrize(("x", "y", "options", "words"), BAD_PAIRS)
def test_unfit_pairs(x, y, options, words):
    """Unfit pairs are errors."""
    assert words in error_message(ksg_mutual_information, x, y, **options)


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda x, y: (np.repeat(x, 2, 0), np.repeat(y, 2, 0)),  # gave .8 nats for independent numbers
        lambda x, y: (np.concatenate([x, x[:1]]), np.concatenate([y, y[:1]])),
        lambda x, y: (np.round(x, 1), y),
        lambda x, y: (x, np.zeros_like(y)),
    ],
    ids=["every pair twice", "one pair twice", "rounded", "constant"],
)
def test_repeated_values(spoilt) -> None:
    """A continuous law draws no number twice; an estimate from such numbers would be far off."""
    x, y = np.random.default_rng(0).standard_normal((2, 300))
    message = error_message(ksg_mutual_information, *spoilt(x, y))
    assert "a coordinate with a value that occurs twice" in message


def test_any_scale() -> None:
    """Information has no scale: coordinates in other units give the same number."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2))
    y = x @ rng.standard_normal((2, 1)) + 0.5 * rng.standard_normal((400, 1))
    first = ksg_mutual_information(x, y)
    for scale in (1e-5, 1e3, 1e5):
        other = ksg_mutual_information(x * [scale, 1.0] + 7.0, -y / scale)
        assert other.value == pytest.approx(first.value, rel=1e-6)
    assert first.value > 0.3
