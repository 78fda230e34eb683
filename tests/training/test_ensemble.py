"""The compiled training of all seeds: chunks, schedules, and batches that overflow."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from small_training import small

from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.config import CheckedConfig
from icl_theory.training.ensemble import batch_loss, chunk_length, draw_chunk, initial_weights, run_chunk, schedule_for
from icl_theory.training.optimizer import initial_optimizer
from icl_theory.training.prompt_sources import MomentSource


def test_surplus_steps() -> None:
    """`train` may run a chunk past `steps`; there the learning rate must be exactly 0, not merely small."""
    config = CheckedConfig(layers=2, shots=7, steps=23, seeds=3, batch=8, learning_rate=0.02)
    start, root = initial_weights(np.random.default_rng(0), config, 4), np.eye(3, dtype=np.float32)
    draws = draw_chunk(np.random.default_rng(1), config, 3, MomentSource(LinearRegression(3, noise_std=0.2), 7))
    others = {
        name: np.concatenate([x[:, :1], 2 * x[:, 1:]], axis=1) for name, x in draws.items()
    }  # differ after the first step

    def run(draws: dict, steps: int) -> np.ndarray:
        data, schedule = (root, root, np.float32(0.2), config.shots), (steps, 0.02, 1.0)
        state = initial_optimizer(start)
        return np.asarray(run_chunk(start, state, draws, data, schedule)[0].value)

    np.testing.assert_array_equal(run(draws, 1), run(others, 1))
    assert not np.array_equal(start.value, run(draws, 1))
    assert not np.array_equal(run(draws, 3), run(others, 3))


def test_overflowing_batch() -> None:
    """Its loss is not finite; the weights are, and no other member notices."""
    config = CheckedConfig(layers=2, shots=7, steps=23, seeds=3, batch=8, learning_rate=0.02)
    start, root = initial_weights(np.random.default_rng(0), config, 4), np.eye(3, dtype=np.float32)
    draws = draw_chunk(np.random.default_rng(1), config, 3, MomentSource(LinearRegression(3, noise_std=0.2), 7))
    broken = {name: x.copy() for name, x in draws.items()}
    for x in broken.values():
        x[1, 1] *= np.float32(1e30)  # the second step of the second member

    def run(draws: dict) -> tuple:
        data, schedule = (root, root, np.float32(0.2), config.shots), (23, 0.02, 1.0)
        return run_chunk(start, initial_optimizer(start), draws, data, schedule)

    (model, _, losses), (plain, _, _) = run(broken), run(draws)
    assert np.isfinite(losses).tolist() == [[True] * 3, [True, False, True], [True] * 3]
    for matrices in jax.tree.leaves(model):
        assert np.isfinite(matrices).all()
    np.testing.assert_array_equal(model.value[0], plain.value[0])
    assert not np.array_equal(model.value[1], plain.value[1])


def test_schedule_and_chunks() -> None:
    """As documented: 1000 steps at 0.02 up to four layers, 2000 at 0.01 beyond; ten chunks, 24 with a stop."""
    found = [schedule_for(layers, None, None) for layers in (1, 4, 5, 12)]
    assert found == [(1000, 0.02), (1000, 0.02), (2000, 0.01), (2000, 0.01)]
    assert schedule_for(9, 7, 0.3) == (7, 0.3)
    plain = replace(small().config, steps=480, seeds=2, batch=8)
    assert chunk_length(plain, 16) == 48
    assert chunk_length(replace(plain, stop_excess=0.1), 16) == 20
    assert chunk_length(replace(plain, steps=5), 16) == 1
    # Memory: 480 steps of 2 x 8 prompts of 16 numbers fit into 2^22; of 16 x 1000 numbers they take 30 chunks.
    assert chunk_length(plain, 16_000) == 480 // 30


@pytest.mark.slow
def test_overflowing_prompt() -> None:
    """A deep model loses the prompt that overflows and nothing else."""
    config = CheckedConfig(layers=6, shots=7, steps=1, seeds=1, batch=4, learning_rate=0.02, init_scale=0.4)
    model = jax.tree.map(lambda a: a[0], initial_weights(np.random.default_rng(0), config, 4))
    task = LinearRegression(3)
    s, w = (a.astype(np.float32) for a in task.sample_moments(np.random.default_rng(1), 4, 7))
    data = np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), np.float32(0), 7
    both = jax.value_and_grad(lambda model, draw: batch_loss(model, draw, data))
    rest, expected = both(model, {"moments": s[:3], "w": w[:3]})
    s[3] *= 1e4
    loss, gradient = both(model, {"moments": s, "w": w})
    assert float(loss) == pytest.approx(float(rest), rel=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7), gradient, expected)
    assert np.isnan(both(model, {"moments": s[3:], "w": w[3:]})[0])  # nothing left: said, not called zero
