"""Clipped Adam: the norm of a gradient, its running mean, and the state that optax itself would make."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_theory.training.config import CheckedConfig
from icl_theory.training.ensemble import initial_weights
from icl_theory.training.optimizer import RunningNorm, clip_to_running_norm, clipped_adam, initial_optimizer


def test_global_norm() -> None:
    """(3, 0) and (0, 4) have norm 5, and not 7."""
    clip = clip_to_running_norm(1.0)
    gradient = {"v": jnp.array([3.0, 0.0]), "k": jnp.array([0.0, 4.0])}
    cut, _ = clip.update(gradient, clip.init(gradient))
    np.testing.assert_allclose([*cut["v"], *cut["k"]], [0.6, 0, 0, 0.8], rtol=1e-6)
    small_ones = jax.tree.map(lambda g: 0.19 * g, gradient)  # 0.95 together, 1.33 added up
    cut, _ = clip.update(small_ones, clip.init(gradient))
    np.testing.assert_allclose(cut["v"], small_ones["v"], rtol=1e-6)


def test_first_optimizer_state() -> None:
    """The first state of the optimiser is optax own."""
    config = CheckedConfig(layers=2, shots=7, steps=23, seeds=3, batch=8, learning_rate=0.02)
    model = initial_weights(np.random.default_rng(0), config, 4)
    expected = jax.vmap(clipped_adam(1, 1.0, 1.0).init)(model)
    got = initial_optimizer(model)
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    jax.tree.map(np.testing.assert_array_equal, got, jax.tree.map(np.asarray, expected))
    assert jax.tree.map(lambda a: a.dtype, got) == jax.tree.map(lambda a: np.dtype(a.dtype), expected)


def test_clip_to_running_norm() -> None:
    """A gradient far above the recent ones is cut down to sixteen times their norm."""
    clip = clip_to_running_norm(1.0)
    state = clip.init({"w": jnp.zeros(2)})

    def norm(size: float, state: RunningNorm) -> tuple[float, RunningNorm]:
        cut, after = clip.update({"w": size * jnp.array([0.6, 0.8])}, state)
        return float(jnp.linalg.norm(cut["w"])), after

    assert norm(5.0, state)[0] == pytest.approx(1.0)  # the limit, while nothing smaller has been seen
    assert norm(0.3, state)[0] == pytest.approx(0.3)
    for _ in range(200):
        _, state = norm(0.01, state)
    assert float(state.norm) == pytest.approx(0.01, rel=0.01)
    assert norm(0.1, state)[0] == pytest.approx(0.1)
    assert norm(5.0, state)[0] == pytest.approx(0.16, rel=0.02)
    assert float(norm(5.0, state)[1].norm) < 0.02  # and hardly moves the running norm
    assert norm(0.0, state)[0] == 0.0
