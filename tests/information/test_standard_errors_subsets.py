"""Error bars of the comparison of subsets: ratios, correlations and shifts again from the same runs, and coverage."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from influences import error_of_mean, jackknife_error, mean
from standard_errors import assert_covers

from icl_theory import (
    LinearRegression,
    Model,
    bound_ladder,
    gradient_descent_weights,
    shared_subsets,
)
from icl_theory.descent.implied_weights import implied_weights
from icl_theory.information.ladder.losses import empirical_loss, population_loss
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting
from icl_theory.information.ladder.shared_subsets import (
    SharedSubsets,
    _ratio,
    _shift,
    correlation_with_first,
    layer_noise,
    with_one_observation,
    with_subset,
)

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])
OPTIONS: dict[str, Any] = {"demonstrations": 24, "shots": 6, "clip": 4.0, "samples": 60, "key": 5, "task_vector": W}
COUNT = 14


def matrices(rng: np.random.Generator, shift: float = 0.0) -> np.ndarray:
    """Skewed 2 x 2 matrices, so that squares and products have errors of their own."""
    return rng.exponential(size=(COUNT, 2, 2)) + shift


def squares(noise: np.ndarray) -> np.ndarray:
    return (noise**2).sum((1, 2))


def test_ratio_of_means(rng):
    """Its error is the jackknife error of a ratio of means."""
    above, below = rng.exponential(size=(2, COUNT)) + 0.3
    found = _ratio(above, below)
    assert found.value == pytest.approx(above.sum() / below.sum(), rel=1e-12)
    error = jackknife_error(lambda w: mean(w, above) / mean(w, below), COUNT)
    assert found.stderr == pytest.approx(error, rel=1e-10)
    assert (found.samples, found.direction, found.unit) == (COUNT, "unbiased", "ratio")


def correlation(model: np.ndarray, first: np.ndarray, other: np.ndarray) -> Any:
    cross = mean(model, (first * other).sum((1, 2)))
    return cross / np.sqrt(mean(model, squares(first)) * mean(model, squares(other)))


def test_correlation(rng):
    """Correlation with the first layer."""
    noise = np.stack([matrices(rng), matrices(rng) - 0.6])
    noise[1] += 0.5 * noise[0]
    own, other = correlation_with_first(noise)
    assert other.value == pytest.approx(correlation(np.ones(COUNT), noise[0], noise[1]), rel=1e-12)
    error = jackknife_error(lambda w: correlation(w, noise[0], noise[1]), COUNT)
    assert other.stderr == pytest.approx(error, rel=1e-10)
    assert (other.samples, other.direction, other.unit) == (COUNT, "unbiased", "correlation")
    assert (own.value, own.stderr) == (pytest.approx(1.0), pytest.approx(0.0, abs=1e-15))


def without_bias(shared: np.ndarray, fresh: np.ndarray) -> tuple[float, float]:
    """Σ_{i≠j} ⟨d_i, d_j⟩ / (K(K-1)), unbiased for |E d|² term by term; and Σ_{i<j} |f_i - f_j|² / (K(K-1))."""
    count, d = len(shared), (shared - fresh).reshape(len(shared), -1)
    pairs = list(itertools.permutations(range(count), 2))
    square = math.fsum(float(d[i] @ d[j]) for i, j in pairs) / len(pairs)
    spread = math.fsum(float(((fresh[i] - fresh[j]) ** 2).sum()) for i, j in pairs) / (2 * len(pairs))
    return square, spread


def test_shift_of_the_means(rng):
    """The distance by pairs of different runs; its error from both parts; the bias is a constant."""
    shared, fresh = matrices(rng, 0.4), matrices(rng)
    square, spread = without_bias(shared, fresh)
    found, d = _shift(shared, fresh), (shared - fresh).reshape(COUNT, -1)
    assert found.value == pytest.approx(square / spread, rel=1e-11)
    assert found.value < 0.95 * float(d.mean(axis=0) @ d.mean(axis=0)) / spread  # the bias matters here
    bias = float(d.mean(axis=0) @ d.mean(axis=0)) - square

    def shift(w):
        centre, middle = mean(w, d), mean(w, fresh)
        return (centre @ centre - bias) / (COUNT / (COUNT - 1) * mean(w, squares(fresh - middle)))

    assert found.stderr == pytest.approx(jackknife_error(shift, COUNT), rel=1e-10)
    assert (found.samples, found.direction, found.unit) == (COUNT, "unbiased", "variances")
    alone = _shift(fresh + 0.4, fresh)  # the same in every run: only the spread is uncertain
    below = jackknife_error(lambda w: alone.value * spread / mean(w, squares(fresh - mean(w, fresh))), COUNT)
    assert alone.stderr == pytest.approx(below * (COUNT - 1) / COUNT, rel=0.1)
    assert alone.value == pytest.approx(4 * 0.4**2 / spread, rel=1e-11)


def test_no_shift():
    """4000 sets of 14 runs without any shift; with the bias left in the mean would be 1/14 of the spread of d."""
    rng, found = np.random.default_rng(1), []
    for _ in range(4000):
        shared, fresh = rng.standard_normal((2, COUNT, 2, 2))
        found.append(_shift(shared, fresh).value)
    error = error_of_mean(found)
    assert abs(np.mean(found)) < 4 * error
    assert error < 2 / COUNT / 50


@pytest.fixture(scope="module")
def found() -> SharedSubsets:
    return shared_subsets(gradient_descent_weights(2, layers=2, step_size=0.5), TASK, **OPTIONS)


def test_every_estimate(found: SharedSubsets):
    """The seed is what is left in the generator of the key once a task has been drawn."""
    model, samples = gradient_descent_weights(2, layers=2, step_size=0.5), OPTIONS["samples"]
    rng = np.random.default_rng(OPTIONS["key"])
    TASK.sample_tasks(rng, 1)
    setting = Setting(model, TASK, W, 24, 6)
    fresh = draw(setting, np.random.default_rng(int(rng.integers(2**62))), samples)
    subset = with_subset(fresh, setting)
    (noise, last), (subset_noise, subset_last) = (layer_noise(setting, draws) for draws in (fresh, subset))
    for layer in range(2):
        above, below = squares(subset_noise[layer]), squares(noise[layer])
        error = jackknife_error(lambda w, a=above, b=below: mean(w, a) / mean(w, b), samples)
        assert found.variance[layer].value == pytest.approx(above.mean() / below.mean(), rel=1e-12)
        assert found.variance[layer].stderr == pytest.approx(error, rel=1e-9)
    for correlations, own in ((found.correlation, subset_noise), (found.fresh_correlation, noise)):
        error = jackknife_error(lambda w, own=own: correlation(w, own[0], own[1]), samples)
        assert correlations[1].value == pytest.approx(correlation(np.ones(samples), own[0], own[1]), rel=1e-11)
        assert correlations[1].stderr == pytest.approx(error, rel=1e-9)
    square, spread = without_bias(subset_last, last)
    assert found.shift.value == pytest.approx(square / spread, rel=1e-9)
    observed_last = simulate(setting, with_one_observation(fresh)).accumulated
    for gap, accumulated in ((found.gap, observed_last), (found.subset_gap, subset_last), (found.fresh_gap, last)):
        p = implied_weights(accumulated, "minus")
        losses = population_loss(p, TASK, W, 4.0) - empirical_loss(p, fresh.tokens, 4.0)
        assert gap.value == pytest.approx(losses.mean(), rel=1e-11)
        assert gap.stderr == pytest.approx(error_of_mean(losses), rel=1e-11)
        assert (gap.samples, gap.direction, gap.unit) == (samples, "unbiased", "loss")


def test_informations(found: SharedSubsets):
    """One observation is the ladder of identity weights, the fresh path that of the model; R = c/2, N = 24."""
    eye = np.eye(3)[None]
    observation = bound_ladder(Model.create(eye, eye, eye), TASK, **OPTIONS).information
    path = bound_ladder(gradient_descent_weights(2, layers=2, step_size=0.5), TASK, **OPTIONS).information
    expected = {name: observation[name] for name in ("mutual_information", "gaussian")}
    expected["fresh_path_gaussian"] = path["path_gaussian"]
    assert set(found.information) == set(found.bounds) == set(expected)
    for name, information in expected.items():
        own, bound = found.information[name], found.bounds[name]
        assert (own.value, own.stderr) == (
            pytest.approx(information.value, rel=1e-9),
            pytest.approx(information.stderr, rel=1e-9),
        )
        assert (own.direction, own.unit, own.samples) == ("upper", "nats", 60)
        assert bound.value == pytest.approx(math.sqrt(2 * 2.0**2 * own.value / 24), rel=1e-12)
        assert bound.stderr == pytest.approx(bound.value * own.stderr / (2 * own.value), rel=1e-12)
        assert (bound.direction, bound.unit, bound.samples) == ("upper", "loss", 60)


@pytest.mark.slow
def test_coverage():
    """300 sets of 1000 runs of a model with a clear shift; the truth is the value of all runs together."""
    setting, count, sets = Setting(gradient_descent_weights(2, layers=2, step_size=0.8), TASK, W, 80, 20), 1000, 300
    parts = []
    for seed in range(sets):
        draws = draw(setting, np.random.default_rng(seed), count)
        parts.append((layer_noise(setting, with_subset(draws, setting)), layer_noise(setting, draws)))
    shared, fresh = (np.concatenate([part[kind][0] for part in parts], axis=1) for kind in (0, 1))
    last, fresh_last = (np.concatenate([part[kind][1] for part in parts]) for kind in (0, 1))
    runs = [[*_all(one[0], other[0]), _shift(one[1], other[1])] for one, other in parts]
    for estimates, truth in zip(zip(*runs, strict=True), [*_all(shared, fresh), _shift(last, fresh_last)], strict=True):
        assert_covers(estimates, truth.value)


def _all(shared: np.ndarray, fresh: np.ndarray) -> list[Any]:
    return [_ratio(squares(shared[1]), squares(fresh[1])), correlation_with_first(shared)[1]]
