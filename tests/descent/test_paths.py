"""Roads of the implied weight: against explicit steps, unit queries sent through the model, and GD++ token by token."""

from typing import Any

import numpy as np
import pytest
from helpers import assert_close, error_message, forward_by_token

from icl_theory import (
    LinearRegression,
    Model,
    VectorRegression,
    descent_paths,
    gd_plus_plus,
    gradient_descent,
    gradient_descent_weights,
    random_weights,
)

TASK = LinearRegression(3, np.diag([1.0, 0.6, 0.3]), noise_std=0.2)
PROMPT = TASK.sample(3, batch=4, shots=7)


def plus_plus_by_token(x: np.ndarray, y: np.ndarray, steps: int, eta: float, gamma: float) -> np.ndarray:
    """GD++ as it is told: residuals and inputs of every token, a query of every unit vector, in loops."""
    residuals, inputs, queries = y.copy(), x.copy(), np.eye(x.shape[1])
    told = np.zeros(x.shape[1])
    path = [told.copy()]
    for _ in range(steps):
        c = sum(r * v for r, v in zip(residuals, inputs, strict=True)) / len(x)
        second = sum(np.outer(v, v) for v in inputs) / len(x)
        told = told + eta * np.array([c @ q for q in queries])
        residuals = np.array([r - eta * c @ v for r, v in zip(residuals, inputs, strict=True)])
        inputs = np.array([v - gamma * second @ v for v in inputs])
        queries = np.array([q - gamma * second @ q for q in queries])
        path.append(told.copy())
    return np.array(path)


@pytest.mark.parametrize("gamma", [0.0, 0.2, -0.1])
def test_plus_plus(gamma: float) -> None:
    """Against the loop over tokens; with γ = 0 gradient descent."""
    x, y = PROMPT.x[0], PROMPT.y[0]
    found = gd_plus_plus(x, y, steps=4, step_size=0.3, input_step=gamma)
    assert_close(found, plus_plus_by_token(x, y, 4, 0.3, gamma), 1e-10)
    if gamma == 0:
        assert_close(found, gradient_descent(x, y, steps=4, step_size=0.3), 1e-10)
    assert "at least 1" in error_message(gd_plus_plus, x, y, steps=0, step_size=0.1, input_step=0.1)


@pytest.mark.parametrize("readout", ["minus", "plus"])
@pytest.mark.parametrize("normalization", ["mean", "sum"])
def test_model(readout: Any, normalization: Any) -> None:
    """p_t by unit vectors sent through the first t layers, token by token."""
    model = random_weights(5, layers=3, token_dim=4, scale=0.7).replace(readout=readout, normalization=normalization)
    paths = descent_paths(model, PROMPT, step_size=0.3, input_step=0.1)
    sign = -1 if readout == "minus" else 1
    for i, tokens in enumerate(PROMPT.tokens()):
        for t in range(4):
            queries = [np.append(unit, 0.0) for unit in np.eye(3)]
            told = [sign * forward_by_token(model, tokens, query, layers=t)[1][-1] for query in queries]
            assert_close(paths.weights["model"][i, t], np.array(told), 1e-9)
        steps = gradient_descent(PROMPT.x[i], PROMPT.y[i], steps=3, step_size=0.3)
        assert_close(paths.weights["gradient descent"][i], steps, 1e-10)
        better = plus_plus_by_token(PROMPT.x[i], PROMPT.y[i], 3, 0.3, 0.1)
        assert_close(paths.weights["GD++"][i], better, 1e-10)


def test_losses() -> None:
    """Half the mean of squared rests; least squares has the least of all."""
    model = gradient_descent_weights(3, layers=2, step_size=0.4)
    paths = descent_paths(model, PROMPT, step_size=0.4)
    assert set(paths.weights) == {"model", "gradient descent"}
    losses, best = paths.losses(), paths.least_squares()
    for i in range(4):
        for t in range(3):
            rests = PROMPT.x[i] @ paths.weights["model"][i, t] - PROMPT.y[i]
            assert losses["model"][i, t] == pytest.approx((rests**2).sum() / (2 * 7), rel=1e-12)
        normal = np.linalg.solve(PROMPT.x[i].T @ PROMPT.x[i], PROMPT.x[i].T @ PROMPT.y[i])
        assert_close(best[i], normal, 1e-9)
    assert (np.diff(losses["gradient descent"], axis=1) < 0).all()


def test_errors() -> None:
    """Models that are not linear in S, labels that are vectors, numbers that are none."""
    model = gradient_descent_weights(3, layers=2)
    assert "linear attention" in error_message(descent_paths, model.replace(kind="softmax"), PROMPT, step_size=0.1)
    assert "one number" in error_message(
        descent_paths, Model.create(*(np.eye(5),) * 3), VectorRegression(3, 2).sample(0, 2, 5), step_size=0.1
    )
    assert "step_size" in error_message(descent_paths, model, PROMPT, step_size=np.nan)
    assert "a Prompt" in error_message(descent_paths, model, PROMPT.x, step_size=0.1)
