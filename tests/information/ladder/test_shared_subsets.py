"""One subset for all layers against enumeration, the token-level forward pass, and exact identities."""

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import accumulated_map, error_message

from icl_theory import LinearRegression, gradient_descent_weights, gradient_noise, random_weights, shared_subsets
from icl_theory.descent.implied_weights import implied_weights
from icl_theory.information.ladder.losses import empirical_loss, population_loss
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting
from icl_theory.information.ladder.shared_subsets import layer_noise, with_one_observation, with_subset

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])
OPTIONS: dict[str, Any] = {"demonstrations": 24, "shots": 6, "clip": 4.0, "samples": 400, "key": 5, "task_vector": W}


def test_subset_trajectory():
    """The subset's trajectory is the forward pass on the subset."""
    model = random_weights(3, layers=3, token_dim=3, scale=0.5)
    setting = Setting(model, TASK, W, 24, 6)
    draws = draw(setting, np.random.default_rng(0), 3)
    last = simulate(setting, with_subset(draws, setting)).accumulated
    for run in range(3):
        by_token = accumulated_map(model, draws.tokens[run, :6], 3)
        np.testing.assert_allclose(np.eye(3) + last[run], by_token, atol=1e-11)


def test_first_layer_variance():
    """Every b of N demonstrations in turn: tr C_1 by enumeration, and what the layer's noise is made of."""
    model = random_weights(3, layers=1, token_dim=3, scale=0.8)
    setting = Setting(model, TASK, W, 7, 3)
    draws = draw(setting, np.random.default_rng(0), 1)
    tokens, sizes = draws.tokens[0], []
    for chosen in itertools.combinations(range(7), 3):
        rest = [i for i in range(7) if i not in chosen]
        order = replace(draws, tokens=tokens[None, [*chosen, *rest]], inner=draws.inner[:, [*chosen, *rest]])
        sizes.append(float((layer_noise(setting, with_subset(order, setting))[0] ** 2).sum()))
    assert np.mean(sizes) == pytest.approx(gradient_noise(model, tokens, shots=3).trace, rel=1e-10)


def test_departures():
    """Departures of gradient descent and the control without any."""
    many: dict[str, Any] = OPTIONS | {"samples": 3200}  # at 400 the shift is three standard errors
    found = shared_subsets(gradient_descent_weights(2, layers=3, step_size=0.5), TASK, **many)
    first = found.variance[0]
    assert abs(first.value - 1) < 6 * first.stderr
    for shared, fresh in zip(found.correlation[1:], found.fresh_correlation[1:], strict=True):
        assert shared.value > 6 * shared.stderr
        assert abs(fresh.value) < 6 * fresh.stderr
    assert found.correlation[0].value == pytest.approx(1.0)
    assert found.shift.value > 6 * found.shift.stderr


def test_one_layer():
    """One layer departs only in that the noise is not Gaussian."""
    found = shared_subsets(random_weights(2, layers=1, token_dim=3), TASK, **OPTIONS)
    assert found.gap == found.fresh_gap
    assert found.information["fresh_path_gaussian"].value == pytest.approx(
        found.information["gaussian"].value, rel=1e-9
    )
    assert abs(found.shift.value) < 6 * found.shift.stderr


def test_depth():
    """The bound does not grow with depth."""
    one, four = (
        shared_subsets(random_weights(2, layers=layers, token_dim=3, scale=0.3), TASK, **OPTIONS) for layers in (1, 4)
    )
    assert four.bounds["gaussian"].value == pytest.approx(one.bounds["gaussian"].value, rel=0.2)
    assert four.bounds["fresh_path_gaussian"].value > 1.3 * four.bounds["gaussian"].value
    for found in (one, four):
        assert found.bounds["gaussian"].value > found.gap.value + 6 * found.gap.stderr
        assert found.bounds["gaussian"].direction == "upper"


def test_share_of_the_gap():
    """The N - b demonstrations that are not shown are fresh ones: gap on all N = (b/N) gap on the b shown."""
    setting = Setting(gradient_descent_weights(2, layers=2, step_size=0.5), TASK, W, 24, 6)
    draws = draw(setting, np.random.default_rng(1), 4000)
    p = implied_weights(simulate(setting, with_subset(draws, setting)).accumulated, "minus")
    population = population_loss(p, TASK, W, 4.0)
    difference = population - empirical_loss(p, draws.tokens, 4.0)
    difference -= 6 / 24 * (population - empirical_loss(p, draws.tokens[:, :6], 4.0))
    assert abs(difference.mean()) < 6 * difference.std() / math.sqrt(len(difference))


def test_shared_observation():
    """One observation is shown to every layer."""
    setting = Setting(random_weights(2, layers=3, token_dim=3), TASK, W, 24, 6)
    draws = with_one_observation(draw(setting, np.random.default_rng(1), 5))
    np.testing.assert_array_equal(draws.observations[:, 0], draws.observations[:, 2])


@pytest.mark.parametrize(
    ("change", "words"), [({"demonstrations": 6, "shots": 2}, "below d_S = 6"), ({"shots": 24}, "24")]
)
def test_bad_options(change, words):
    """Options out of range are errors that name the option."""
    model = random_weights(2, layers=1, token_dim=3)
    assert words in error_message(lambda: shared_subsets(model, TASK, **(OPTIONS | change)))
