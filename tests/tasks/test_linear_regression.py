"""Task distributions: sampled prompts have the moments they promise, and S can be drawn without the tokens."""

from typing import Any

import jax
import numpy as np
import pytest
from helpers import assert_close, assert_mean, assert_same_mean, error_message, readout_moment
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import LinearRegression
from icl_theory.tasks.laws import Gaussian, Law, Uniform

LAMBDA = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 0.5]])
OMEGA = np.array([[1.0, -0.2, 0.1], [-0.2, 0.6, 0.0], [0.1, 0.0, 1.5]])
SIGMA = 0.7
BATCH = 20_000


def make(**options: Any) -> LinearRegression:
    return LinearRegression(3, covariance=LAMBDA, task_covariance=OMEGA, noise_std=SIGMA, **options)


def outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("bi,bj->bij", a, b)


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
def test_covariances(inputs: Law) -> None:
    """Inputs and labels have the covariance promised."""
    prompt = make(inputs=inputs).sample(1, BATCH, 2)
    assert prompt.x.shape == (BATCH, 2, 3)
    assert prompt.y.shape == (BATCH, 2)
    assert_mean(prompt.x_query, 0.0)
    assert_mean(outer(prompt.x_query, prompt.x_query), LAMBDA)
    assert_mean(outer(prompt.x[:, 1], prompt.x[:, 1]), LAMBDA)
    assert_mean(outer(prompt.x[:, 0], prompt.x[:, 1]), 0.0)
    assert_mean(outer(prompt.x[:, 0], prompt.x_query), 0.0)
    signal = np.trace(LAMBDA @ OMEGA)
    assert_mean(prompt.y_query**2, signal)
    assert_mean(prompt.y**2, signal + SIGMA**2)
    # The labels of one prompt share their task: E y_q y_1 x_q x_1ᵀ = Λ Ω Λ.
    labels = (prompt.y_query * prompt.y[:, 0])[:, None, None]
    assert_mean(labels * outer(prompt.x_query, prompt.x[:, 0]), LAMBDA @ OMEGA @ LAMBDA)


def test_uniform_inputs() -> None:
    """Uniform inputs are uniform."""
    x = LinearRegression(3, inputs=Uniform()).sample(2, BATCH, 1).x_query
    assert np.abs(x).max() <= np.sqrt(3.0)
    assert np.abs(x).max() > 1.7
    assert_mean(x**4, 9 / 5)
    gaussian = LinearRegression(3).sample(2, BATCH, 1).x_query
    assert_mean(gaussian**4, 3.0)


def test_noise() -> None:
    """Only the demonstrations carry noise."""
    prompt = make().sample(5, 2_000, 40)
    clean = LinearRegression(3, covariance=LAMBDA, task_covariance=OMEGA).sample(5, 6, 4)
    for x, y, x_query, y_query in zip(clean.x, clean.y, clean.x_query, clean.y_query, strict=True):
        w = np.linalg.lstsq(x, y, rcond=None)[0]
        assert_close(x @ w, y, 1e-9)
        assert_close(x_query @ w, y_query, 1e-9)
    noise = []
    for x, y in zip(prompt.x, prompt.y, strict=True):
        residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
        noise.append(residual @ residual / (40 - 3))
    assert_mean(noise, SIGMA**2)


def test_the_key_decides() -> None:
    task = make()
    first, again, other = (task.sample(key, 2, 3) for key in (7, 7, 8))
    np.testing.assert_array_equal(first.x, again.x)
    np.testing.assert_array_equal(first.y, again.y)
    assert np.abs(first.x - other.x).min() > 0
    modern, raw = jax.random.key(3), jax.random.PRNGKey(3)
    np.testing.assert_array_equal(task.sample(modern, 2, 3).x, task.sample(raw, 2, 3).x)
    assert np.abs(task.sample(modern, 2, 3).x - task.sample(jax.random.key(4), 2, 3).x).min() > 0


def test_tokens() -> None:
    """Tokens stack input and label."""
    prompt = make().sample(0, 2, 4)
    tokens = prompt.tokens()
    assert tokens.shape == (2, 4, 4)
    np.testing.assert_array_equal(tokens[1, 2], [*prompt.x[1, 2], prompt.y[1, 2]])


def test_known_truths(rng: np.random.Generator) -> None:
    task, w = make(), rng.standard_normal(3)
    assert task.token_dim == 4
    assert_close(task.input_root @ task.input_root, LAMBDA)
    assert_close(task.task_root @ task.task_root, OMEGA)
    assert_close(np.array(task.zero_risk), np.array(np.trace(OMEGA @ LAMBDA)))
    lift = np.vstack([np.eye(3), w])  # h = lift x + σ ε e_y
    expected = lift @ LAMBDA @ lift.T + SIGMA**2 * np.diag([0.0, 0.0, 0.0, 1.0])
    assert_close(task.token_covariance(w), expected)
    tokens = task.sample_tokens(rng, np.repeat(w[None], BATCH, 0), 1)[:, 0]
    assert_mean(outer(tokens, tokens), expected)


@pytest.mark.parametrize("shots", [1, 2, 3, 7])
def test_direct_moments(rng: np.random.Generator, shots: int) -> None:
    """S from Bartlett's decomposition against S from tokens: first and second moments, below and above d."""
    task = make()
    direct, w = task.sample_moments(rng, BATCH, shots)
    tasks = task.sample_tasks(rng, BATCH)
    tokens = task.sample_tokens(rng, tasks, shots)
    listed = np.einsum("bni,bnj->bij", tokens, tokens) / shots
    upper = np.triu_indices(4)
    first, second = direct[:, *upper], listed[:, *upper]
    assert_same_mean(first, second)
    assert_same_mean(outer(first, first), outer(second, second))
    assert_same_mean(outer(first, w), outer(second, tasks))
    assert_same_mean(np.einsum("bi,bj,bk->bijk", first, w, w), np.einsum("bi,bj,bk->bijk", second, tasks, tasks))
    assert_mean(direct[:, :3, :3], LAMBDA)
    wishart = (shots + 1) / shots * LAMBDA @ LAMBDA + np.trace(LAMBDA) / shots * LAMBDA
    assert_mean(direct[:, :3, :3] @ direct[:, :3, :3], wishart)
    assert_mean(outer(direct[:, :3, 3], direct[:, :3, 3]), readout_moment(OMEGA, LAMBDA, SIGMA, shots))
    np.testing.assert_array_equal(direct, np.swapaxes(direct, 1, 2))
    ranks = np.linalg.matrix_rank(direct[:50], tol=1e-10)
    assert set(ranks) == {min(shots, 4)}


def test_noise_free_moments(rng: np.random.Generator) -> None:
    """Noise free moments know their task."""
    moments, w = LinearRegression(3, covariance=LAMBDA).sample_moments(rng, 20, 5)
    assert_close(moments[:, :3, 3], np.einsum("bij,bj->bi", moments[:, :3, :3], w))
    assert_close(moments[:, 3, 3], np.einsum("bij,bi,bj->b", moments[:, :3, :3], w, w))


@pytest.mark.parametrize("shots", [1, 3, 4, 7])
def test_only_noise(rng: np.random.Generator, shots: int) -> None:
    """N S_yy / σ² is χ² with N degrees of freedom, whatever part of it the inputs can see."""
    task = LinearRegression(3, covariance=LAMBDA, task_covariance=np.zeros((3, 3)), noise_std=SIGMA)
    moments, w = task.sample_moments(rng, BATCH, shots)
    chi_squared = shots * moments[:, 3, 3] / SIGMA**2
    assert_mean(chi_squared, shots)
    assert_mean((chi_squared - shots) ** 2, 2 * shots)
    assert_mean(outer(moments[:, :3, 3], moments[:, :3, 3]), SIGMA**2 / shots * LAMBDA)
    np.testing.assert_array_equal(w, np.zeros((BATCH, 3)))


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_square_root(seed: int, rank: int) -> None:
    """Square root squares to any covariance."""
    factor = np.random.default_rng(seed).standard_normal((4, rank))
    task = LinearRegression(4, covariance=factor @ factor.T)
    assert_close(task.input_root @ task.input_root, factor @ factor.T, 1e-7)


def test_task_refuses() -> None:
    for dim in (0, -1, 2.0, True, "3"):
        assert "dim" in error_message(LinearRegression, dim)
    asymmetric = np.array([[1.0, 0.5], [0.0, 1.0]])
    indefinite = np.array([[1.0, 2.0], [2.0, 1.0]])
    for name in ("covariance", "task_covariance"):
        assert name in error_message(LinearRegression, 2, **{name: np.eye(3)})
        assert "symmetric" in error_message(LinearRegression, 2, **{name: asymmetric})
        assert "eigenvalue -1" in error_message(LinearRegression, 2, **{name: indefinite})
        assert "NaN" in error_message(LinearRegression, 2, **{name: np.eye(2) * np.nan})
    for sigma in (-0.1, np.nan, np.inf, "0"):
        assert "noise_std" in error_message(LinearRegression, 2, noise_std=sigma)
    assert "inputs" in error_message(LinearRegression, 2, inputs="cauchy")


def test_sampling_refuses(rng: np.random.Generator) -> None:
    task = make()
    for count in (0, -1, 2.5):
        assert "batch" in error_message(task.sample, 0, count, 2)
        assert "shots" in error_message(task.sample, 0, 2, count)
    assert "task_vector" in error_message(task.token_covariance, np.ones(2))
    assert "Gaussian" in error_message(make(inputs=Uniform()).sample_moments, rng, 2, 2)


@pytest.mark.parametrize("key", ["seed", None, 1.5, np.float64(0.5), np.array([0.5, 1.5]), -1])
def test_bad_key(key: Any) -> None:
    """A float must not silently become seed 0."""
    assert "key" in error_message(make().sample, key, 2, 2)


@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_bad_counts(rng: np.random.Generator, count: Any) -> None:
    """Moments reject bad counts."""
    assert "shots" in error_message(make().sample_moments, rng, 2, count)
    assert "batch" in error_message(make().sample_moments, rng, count, 2)
