"""The noise floor ε² in simulated runs and in the rungs: fresh in every layer, of the right size, never left out."""

from dataclasses import replace

import numpy as np
import pytest

from icl_theory import LinearRegression, bound_ladder, random_weights
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.rungs import layer_terms, reference_of, singular
from icl_theory.information.ladder.setting import Setting
from icl_theory.truncation.module_truncation import truncate_weights

TASK, W, FLOOR = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1]), 0.09


def setting(layers: int = 2, floor: float = FLOOR, demonstrations: int = 12, rank: int = 3) -> Setting:
    model = random_weights(3, layers=layers, token_dim=3, scale=0.8)
    model = truncate_weights(model, layer=layers - 1, module="value", rank=rank)
    return Setting(model, TASK, W, demonstrations, 4, floor)


@pytest.mark.parametrize("rank", [3, 2])
def test_own_noise(rank):
    """Output minus A X B is ε times the projection of that layer's own normal matrix, and goes into W_t as well."""
    given = setting(rank=rank)
    draws = draw(given, np.random.default_rng(1), 6)
    runs = simulate(given, draws)
    for index, layer in enumerate(runs.layers):
        extra = layer.outputs - (layer.maps @ draws.observations[:, index, :, None])[..., 0]
        np.testing.assert_allclose(extra, np.sqrt(FLOOR) * layer.support.project(draws.extra[:, index]), atol=1e-13)
        after = runs.layers[1].entering if index == 0 else runs.accumulated
        np.testing.assert_allclose(after - layer.entering, layer.support.embed(layer.outputs), atol=1e-12)


def test_floored_sizes():
    """E[||G - g̃||² + tr C] grows by d ε² for all three rungs."""
    with_floor, without = setting(layers=1, rank=2), setting(layers=1, floor=0.0, rank=2)
    draws = draw(with_floor, np.random.default_rng(1), 3)
    runs = simulate(with_floor, draws)
    width = runs.layers[0].dimension
    assert width == 5  # rD - r(r-1)/2 at r = 2, D = 3
    reference = reference_of(with_floor)
    terms = layer_terms(runs.layers[0], runs, with_floor, reference, 0)
    plain = layer_terms(runs.layers[0], replace(runs, draws=draws), without, reference, 0)
    for name in ("isotropic", "isotropic_zero", "theorem_2_repaired"):
        assert terms[name][0] - plain[name][0] == pytest.approx(width * FLOOR, rel=1e-12)


@pytest.mark.parametrize(("demonstrations", "infinite"), [(6, True), (7, False)])
def test_singular_border(demonstrations, infinite):
    """d_S = 6: N - 1 = 5 directions do not fill it, N - 1 = 6 just do; a floor removes this either way."""
    given = setting(layers=1, floor=0.0, demonstrations=demonstrations)
    runs = simulate(given, draw(given, np.random.default_rng(0), 4))
    assert bool(singular(runs, given)) is infinite
    assert singular(runs, replace(given, floor=FLOOR)) == ""
    options = {"demonstrations": demonstrations, "shots": 3, "clip": 4.0, "samples": 16, "key": 0, "task_vector": W}
    ladder = bound_ladder(given.model, TASK, **options)
    assert np.isinf(ladder.rungs["gaussian"].value) == infinite
    assert np.isfinite(bound_ladder(given.model, TASK, floor=FLOOR, **options).rungs["gaussian"].value)
