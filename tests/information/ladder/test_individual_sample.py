"""Σ_i I(W; h_i) from above: densities with one demonstration exchanged, quadrature at D = 1, which method is taken."""

import math

import numpy as np
import pytest
from two_layers import exchanged_by_hand

from icl_theory import LinearRegression, bound_ladder, random_weights
from icl_theory.information.estimators.sandwich import sandwich
from icl_theory.information.ladder import path_sandwich
from icl_theory.information.ladder.individual_sample import (
    exchanged_channel,
    individual_information,
    nested,
    resolvable,
)
from icl_theory.information.ladder.large_sample_limit import observation_information
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting
from icl_theory.truncation.module_truncation import truncate_weights

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])


@pytest.mark.parametrize(("layers", "rank", "floor"), [(1, 3, 0.0), (2, 3, 0.0), (1, 2, 0.0), (1, 3, 0.02)])
def test_exchanged_densities(layers, rank, floor):
    """Exchanged densities against the definition."""
    model = random_weights(3, layers=layers, token_dim=3, scale=1.0)
    model = truncate_weights(model, layer=0, module="value", rank=rank)
    setting = Setting(model, TASK, W, 16, 5, floor)
    runs = simulate(setting, draw(setting, np.random.default_rng(0), 40))
    channel = exchanged_channel(runs, setting, 40)
    assert channel is not None
    got = channel.log_density(slice(2, 5))
    expected = [[exchanged_by_hand(setting, runs, i, j) for j in range(40)] for i in range(2, 5)]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-7 * np.abs(expected).max())


def by_quadrature(scale, floor, demonstrations=3, shots=1, nodes=41):
    """I(w; h_1) at d_S = 1 for w ~ N(mean s, f var s + ε²), s = scale x², x standard normal, N = 3, on a grid of w."""
    x, weight = np.polynomial.hermite_e.hermegauss(nodes)
    half = x > -1e-12
    s, p = scale * x[half] ** 2, np.where(x[half] > 1e-12, 2.0, 1.0) * weight[half]
    p = p / p.sum()
    factor = (demonstrations - shots) / (shots * (demonstrations - 1))
    first, second, third = np.meshgrid(s, s, s, indexing="ij")
    mean = (first + second + third) / 3
    variance = factor * ((first**2 + second**2 + third**2) / 3 - mean**2) + floor
    grid = np.linspace(-8, (mean + 8 * np.sqrt(variance)).max(), 6001)
    given = []
    for m, v in zip(mean, variance, strict=True):  # one entry per value of the first demonstration
        density = np.exp(-0.5 * (grid - m[..., None]) ** 2 / v[..., None]) / np.sqrt(2 * math.pi * v[..., None])
        given.append(np.einsum("ab,abw->w", p[:, None] * p, density))
    marginal = p @ np.array(given)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(g > 0, g * np.log(g / marginal), 0.0) for g in given]
    return float(p @ np.trapezoid(parts, grid, axis=1))


def test_nested_estimate():
    """Noise-free labels of one input: the tokens span a line, so that everything is one-dimensional."""
    task, vector = LinearRegression(1), np.array([0.5])
    model = random_weights(1, layers=1, token_dim=2, scale=1.5)
    probe = Setting(model, task, vector, 3, 1)
    runs = simulate(probe, draw(probe, np.random.default_rng(0), 4))
    scale = abs(float(runs.layers[0].support.matrix()[0, 0, 0]))  # |h|² = 1.25 x²
    floor = 0.5 * scale**2
    truth = by_quadrature(scale, floor)
    assert truth == pytest.approx(by_quadrature(scale, floor, nodes=61), rel=1e-3)
    setting = Setting(model, task, vector, 3, 1, floor)
    runs = simulate(setting, draw(setting, np.random.default_rng(5), 4000))
    exchanged = exchanged_channel(runs, setting, 4000)
    assert exchanged is not None
    found, _ = nested(path_sandwich.path_channels(runs, setting, None), exchanged)
    assert found.direction == "upper"
    assert found.value > truth - 6 * found.stderr
    assert found.value < truth + 6 * found.stderr + 0.005
    assert found.stderr < 0.12 * truth


def test_method_is_fixed_first():
    """The method is chosen before any number is seen."""
    small = Setting(random_weights(4, layers=1, token_dim=2), LinearRegression(1, noise_std=0.5), W[:1], 24, 6)
    large = Setting(random_weights(4, layers=1, token_dim=6), LinearRegression(5, noise_std=0.5), np.ones(5), 80, 20)
    assert resolvable(small, 4096)
    assert not resolvable(small, 64)
    assert not resolvable(large, 4096)


def test_both_methods():
    """Both methods in the ladder."""
    options = {"demonstrations": 24, "shots": 6, "clip": 4.0, "key": 0}
    model = random_weights(4, layers=1, token_dim=2, scale=1.4)
    ladder = bound_ladder(model, LinearRegression(1, noise_std=0.5), samples=3000, **options)
    one, whole = ladder.information["individual_sample"], ladder.information["mutual_information"]
    assert "nested" in one.note
    assert 0 < one.value < whole.value - 2 * math.hypot(one.stderr, whole.stderr)
    # At large N it is N ½ log(1/(1 - b/N²)) per dimension, a little less than b/(2N); the covariance adds to it.
    assert one.value > observation_information(3, 24, 6) * 0.8 - 6 * one.stderr
    ladder = bound_ladder(random_weights(4, layers=1, token_dim=3), TASK, samples=64, **options)
    one, whole = ladder.information["individual_sample"], ladder.information["mutual_information"]
    assert (one.value, one.stderr) == (whole.value, whole.stderr)
    assert "independent demonstrations" in one.note


def test_too_few_others():
    """N - 2 < d_S: without the first demonstration the covariance is singular, though with it it is not."""
    setting = Setting(random_weights(4, layers=1, token_dim=3), TASK, W, 7, 2)
    runs = simulate(setting, draw(setting, np.random.default_rng(0), 30))
    assert exchanged_channel(runs, setting, 30) is None
    channels = path_sandwich.path_channels(runs, setting, None)
    whole = sandwich(channels)
    assert individual_information(runs, setting, channels, whole, 30)[0].value == whole.upper.value
