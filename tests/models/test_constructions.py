"""Weights whose behaviour is known: gradient descent step by step, and the one-layer optimum in closed form."""

import numpy as np
import pytest
from helpers import (
    assert_close,
    assert_mean,
    best_readout_risk,
    descend,
    error_message,
    readout_moment,
    readout_risk,
)
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Prompt,
    ReLUTeacher,
    Task,
    gradient_descent,
    gradient_descent_weights,
    implicit_trajectory,
    one_layer_optimum,
    predict,
    random_weights,
    truncate,
    truncation_curves,
)
from icl_theory.descent.implied_weights import implied_weights
from icl_theory.models.constructions import preconditioner_risk
from icl_theory.tasks.laws import Uniform

N, DIM = 6, 3
SCALES = np.array([3.0, 1.0, 0.25])
ROTATION = np.linalg.qr(np.array([[1.0, 2.0, 0.0], [-1.0, 1.0, 3.0], [0.5, 0.0, 1.0]]))[0]
LAMBDA = ROTATION @ np.diag(SCALES) @ ROTATION.T
OMEGA = np.array([[1.0, -0.2, 0.1], [-0.2, 0.6, 0.0], [0.1, 0.0, 1.5]])


def preconditioner_of(model: object) -> np.ndarray:
    """P with ŷ = x_q · P S_xy, read off by sending S with a single entry in its label column."""
    value, key, query = (getattr(model, name)[0] for name in ("value", "key", "query"))
    return -value[-1, -1] * (key[:-1, :-1].T @ query[:-1, :-1]).T


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5, 6])
def test_layers_are_steps(rng: np.random.Generator, layers: int) -> None:
    """The forward pass, the explicit recursion and a loop over examples agree, with a skew preconditioner."""
    matrix = np.eye(DIM) + 0.3 * rng.standard_normal((DIM, DIM))
    x, y, x_query = rng.standard_normal((N, DIM)), rng.standard_normal(N), rng.standard_normal((1, DIM))
    model = gradient_descent_weights(DIM, layers=layers, step_size=0.2, preconditioner=matrix)
    path = gradient_descent(x, y, steps=layers, step_size=0.2, preconditioner=matrix)
    assert_close(path, descend(x, y, layers, 0.2, matrix))
    prompt = Prompt(x[None], y[None], x_query, np.zeros(1))
    assert_close(predict(model, prompt), x_query @ path[-1])
    tokens = np.column_stack([x, y])
    accumulated = implicit_trajectory(model, tokens).accumulated
    assert_close(implied_weights(accumulated, "minus"), path)
    moved = tokens @ (np.eye(DIM + 1) + accumulated[-1]).T
    assert_close(moved[:, -1], y - x @ path[-1])
    if layers > 1:
        assert np.abs(predict(model.replace(readout="plus"), prompt) - x_query @ path[-1]).max() > 1e-3


def test_defaults(rng: np.random.Generator) -> None:
    """Default step size and preconditioner."""
    x, y = rng.standard_normal((N, DIM)), rng.standard_normal(N)
    accumulated = implicit_trajectory(gradient_descent_weights(DIM), np.column_stack([x, y])).accumulated
    assert_close(implied_weights(accumulated[-1], "minus"), x.T @ y / N)


def test_random_weights() -> None:
    first, again, other = (random_weights(key, layers=2, token_dim=40, scale=0.8) for key in (1, 1, 2))
    for name in ("value", "key", "query"):
        matrix = getattr(first, name)
        assert matrix.shape == (2, 40, 40)
        np.testing.assert_array_equal(matrix, getattr(again, name))
        assert np.abs(matrix - getattr(other, name)).max() > 1e-3
        assert_mean(matrix.ravel(), 0.0)
        assert_mean(matrix.ravel() ** 2, 0.8**2 / 40)
    assert np.abs(first.value - first.key).max() > 1e-3


@given(dim=st.integers(1, 6), shots=st.integers(1, 50), sigma=st.floats(0.0, 3.0))
def test_isotropic_optimum(dim: int, shots: int, sigma: float) -> None:
    """η* = N/(N + d + 1 + σ²) and risk d(d + 1 + σ²)/(N + d + 1 + σ²)."""
    model, risk = one_layer_optimum(LinearRegression(dim, noise_std=sigma), shots=shots)
    total = shots + dim + 1 + sigma**2
    assert_close(preconditioner_of(model), shots / total * np.eye(dim), 1e-9)
    assert risk == pytest.approx(dim * (dim + 1 + sigma**2) / total, rel=1e-9)


@pytest.mark.parametrize("shots", [1, 4, 30])
def test_anisotropic_optimum(shots: int) -> None:
    """Γ^{-1} and tr Λ - tr(Λ² Γ^{-1}), Γ = ((N+1)/N) Λ + ((tr Λ + σ²)/N) I."""
    task = LinearRegression(DIM, covariance=LAMBDA, noise_std=0.5)
    model, risk = one_layer_optimum(task, shots=shots)
    gamma = (shots + 1) / shots * LAMBDA + (np.trace(LAMBDA) + 0.25) / shots * np.eye(DIM)
    assert_close(preconditioner_of(model), np.linalg.inv(gamma), 1e-9)
    assert risk == pytest.approx(np.trace(LAMBDA) - np.trace(LAMBDA @ LAMBDA @ np.linalg.inv(gamma)), rel=1e-9)


def test_task_covariance(rng: np.random.Generator) -> None:
    """Against a moment summed index by index, and no perturbation is better."""
    task = LinearRegression(DIM, covariance=LAMBDA, task_covariance=OMEGA, noise_std=0.5)
    model, risk = one_layer_optimum(task, shots=5)
    best = preconditioner_of(model)
    moment = readout_moment(OMEGA, LAMBDA, 0.5, 5)
    assert_close(best @ moment, OMEGA @ LAMBDA, 1e-9)
    assert risk == pytest.approx(readout_risk(best, task, 5), rel=1e-9)
    for _ in range(20):
        assert readout_risk(best + 1e-3 * rng.standard_normal((DIM, DIM)), task, 5) > risk


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_best_rank(rng: np.random.Generator, rank: int) -> None:
    """tr Λ - Σ_{i ≤ m} λ_i² / γ_i, and no rank-m preconditioner found by alternation is better."""
    task = LinearRegression(DIM, covariance=LAMBDA, noise_std=0.5)
    model, risk = one_layer_optimum(task, shots=5, rank=rank)
    gamma = 6 / 5 * SCALES + (SCALES.sum() + 0.25) / 5
    assert risk == pytest.approx(SCALES.sum() - (SCALES**2 / gamma)[:rank].sum(), rel=1e-9)
    assert risk == pytest.approx(best_readout_risk(task, 5, rank, rng), rel=1e-9)
    best = preconditioner_of(model)
    assert np.linalg.matrix_rank(best, tol=1e-9) == rank
    assert readout_risk(best, task, 5) == pytest.approx(risk, rel=1e-9)
    assert_close(best, (ROTATION[:, :rank] / gamma[:rank]) @ ROTATION[:, :rank].T, 1e-9)


@pytest.mark.parametrize("rank", [1, 2])
def test_best_rank_and_tasks(rng: np.random.Generator, rank: int) -> None:
    """Best rank with a task covariance."""
    task = LinearRegression(DIM, covariance=LAMBDA, task_covariance=OMEGA, noise_std=0.5)
    model, risk = one_layer_optimum(task, shots=5, rank=rank)
    assert risk == pytest.approx(best_readout_risk(task, 5, rank, rng), rel=1e-9)
    assert risk == pytest.approx(readout_risk(preconditioner_of(model), task, 5), rel=1e-9)


@pytest.mark.parametrize("rank", [1, 2])
def test_plain_truncation(rank: int) -> None:
    """The optimum's largest singular values sit on the smallest inputs; the whitened metric repairs that."""
    task = LinearRegression(DIM, covariance=LAMBDA, noise_std=0.5)
    optimum = preconditioner_of(one_layer_optimum(task, shots=5)[0])
    best, risk = one_layer_optimum(task, shots=5, rank=rank)
    plain = readout_risk(truncate(optimum, rank).matrix, task, 5)
    gamma = 6 / 5 * SCALES + (SCALES.sum() + 0.25) / 5
    wrong = SCALES.sum() - (SCALES**2 / gamma)[::-1][:rank].sum()
    assert plain == pytest.approx(wrong, rel=1e-9)
    assert plain > 1.2 * risk
    assert_close(truncate(optimum, rank, inputs=LAMBDA, outputs=LAMBDA).matrix, preconditioner_of(best), 1e-9)


def test_truncation_curves(rng: np.random.Generator) -> None:
    """The trap: best = whitened at every rank, the plain curve far above; oracles that know no singular values."""
    task = LinearRegression(DIM, covariance=LAMBDA, noise_std=0.5)
    curves = truncation_curves(task, shots=5)
    gamma = 6 / 5 * SCALES + (SCALES.sum() + 0.25) / 5
    gains = SCALES**2 / gamma
    assert_close(curves.best, SCALES.sum() - np.cumsum([0.0, *gains]), 1e-9)
    assert_close(curves.whitened, curves.best, 1e-9)
    assert_close(curves.plain, SCALES.sum() - np.cumsum([0.0, *gains[::-1]]), 1e-9)
    assert (curves.plain[1:-1] > 1.2 * curves.best[1:-1]).all()
    by_alternation = [best_readout_risk(task, 5, rank, rng) for rank in range(1, DIM + 1)]
    assert_close(curves.best[1:], np.array(by_alternation), 1e-9)
    optimum = preconditioner_of(one_layer_optimum(task, shots=5)[0])
    plain = [readout_risk(truncate(optimum, rank).matrix, task, 5) for rank in range(DIM + 1)]
    assert_close(curves.plain, np.array(plain), 1e-9)


@pytest.mark.parametrize(
    "task",
    [
        LinearRegression(DIM, covariance=LAMBDA, task_covariance=OMEGA, noise_std=0.5),
        LinearRegression(DIM, covariance=LAMBDA, inputs=Uniform()),
        ReLUTeacher(DIM, 4, covariance=LAMBDA),
        LinearClassification(DIM),
    ],
    ids=lambda task: f"{type(task).__name__}, {task.inputs}",
)
def test_curves_end_together(task: Task) -> None:
    """Truncation curves end together."""
    curves = truncation_curves(task, shots=5)
    model, risk = one_layer_optimum(task, shots=5)
    for curve in (curves.best, curves.whitened, curves.plain):
        assert curve[0] == pytest.approx(task.zero_risk, rel=1e-12)
        assert curve[-1] == pytest.approx(risk, rel=1e-9)
        assert (curve >= curves.best - 1e-9).all()
    cut = gradient_descent_weights(DIM, preconditioner=truncate(preconditioner_of(model), 1).matrix)
    prompt = task.sample(3, 40_000, 5)
    assert_mean((predict(cut, prompt) - prompt.y_query) ** 2, curves.plain[1])


def test_truncation_trap() -> None:
    """d = 8, eigenvalues 1, 1/2, ..., 1/128 and N = 20: half of the ranks cost the plain cut most of the signal."""
    task = LinearRegression(8, covariance=np.diag(2.0 ** -np.arange(8)))
    curves = truncation_curves(task, shots=20)
    assert curves.best[4] < 0.55 * curves.plain[4]
    assert curves.plain[4] > 0.9 * task.zero_risk


@pytest.mark.parametrize("rank", [None, 1])
def test_sampled_risk(rank: int | None) -> None:
    """Risk is what sampled prompts show."""
    task = LinearRegression(DIM, covariance=LAMBDA, task_covariance=OMEGA, noise_std=0.5)
    model, risk = one_layer_optimum(task, shots=5, rank=rank)
    prompt = task.sample(11, 40_000, 5)
    assert_mean((predict(model, prompt) - prompt.y_query) ** 2, risk)


def test_constructions_refuse() -> None:
    make = gradient_descent_weights
    assert "dim" in error_message(make, 0)
    assert "layers" in error_message(make, 2, layers=0)
    assert "preconditioner" in error_message(make, 2, preconditioner=np.eye(3))
    assert "preconditioner" in error_message(make, 2, preconditioner=np.eye(2) * np.nan)
    assert "key" in error_message(random_weights, "seed", layers=1, token_dim=2)


@pytest.mark.parametrize("step_size", [np.nan, np.inf, "0.1"])
def test_bad_step(step_size: object) -> None:
    """`gradient_descent_weights` rejects a bad step."""
    assert "step_size" in error_message(gradient_descent_weights, 2, step_size=step_size)


@pytest.mark.parametrize(
    ("name", "value"), [("layers", 0), ("layers", -1), ("token_dim", 0), ("token_dim", -1), ("scale", np.nan)]
)
def test_random_weights_refuse(name: str, value: float) -> None:
    arguments = {"layers": 1, "token_dim": 2, "scale": 0.5} | {name: value}
    assert name in error_message(random_weights, 0, **arguments)


def test_optimum_refuses() -> None:
    task = LinearRegression(2)
    assert "shots" in error_message(one_layer_optimum, task, shots=0)
    for rank in (-1, 3, 1.0):
        assert "rank" in error_message(one_layer_optimum, task, shots=3, rank=rank)
    assert "singular" in error_message(one_layer_optimum, LinearRegression(2, covariance=np.diag([1.0, 0.0])), shots=3)
    square = LinearClassification(2, covariance=np.diag([1.0, 2.0]))
    assert "Gaussian inputs" in error_message(one_layer_optimum, square, shots=3)
    assert "Gaussian inputs" in error_message(one_layer_optimum, LinearClassification(2, inputs=Uniform()), shots=3)
    assert "preconditioner" in error_message(preconditioner_risk, np.eye(3), task, 3)
    assert "shots" in error_message(preconditioner_risk, np.eye(2), task, 0)
    assert "signal" in error_message(one_layer_optimum, LinearRegression(2, task_covariance=np.zeros((2, 2))), shots=3)
