"""The implicit trajectory: Theorem 1 of Y with its index corrected, and what follows from the sufficiency of S."""

import numpy as np
import pytest
from helpers import accumulated_map, assert_close, descend, error_message, forward_by_token, random_matrices
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import Model, forward, gradient_descent, implicit_trajectory
from icl_theory.descent.implied_weights import implied_weights

pytestmark = pytest.mark.usefixtures("strict_promotion")

N, D, LAYERS = 5, 3, 3


def make(rng: np.random.Generator) -> tuple[Model, np.ndarray, np.ndarray]:
    model = Model.create(*random_matrices(rng, LAYERS, D, scale=1.0))
    return model, rng.standard_normal((N, D)), rng.standard_normal(D)


@pytest.mark.parametrize("normalization", ["mean", "sum"])
def test_theorem_1(rng: np.random.Generator, normalization: str) -> None:
    """Every W_t against unit vectors sent through a loop, G_t and ΔW_t against the loop's own tokens."""
    model, tokens, query = make(rng)
    path = implicit_trajectory(model.replace(normalization=normalization), tokens)
    eye = np.eye(D)
    np.testing.assert_array_equal(path.accumulated[0], np.zeros((D, D)))
    for t in range(LAYERS):
        before = accumulated_map(model, tokens, t, normalization)
        after = accumulated_map(model, tokens, t + 1, normalization)
        assert_close(path.accumulated[t + 1], after - eye)
        assert_close(path.gradient[t], after - before)
        moved, _ = forward_by_token(model, tokens, query, layers=t, normalization=normalization)
        delta = sum(np.outer(model.value[t] @ h, model.key[t] @ h) for h in moved) @ model.query[t]
        assert_close(path.delta[t], delta / (N if normalization == "mean" else 1))
        assert_close(path.gradient[t], path.delta[t] @ before)
    final = forward(model.replace(normalization=normalization), tokens, query)
    assert_close((eye + path.accumulated[-1]) @ query, final)


def test_product_form(rng: np.random.Generator) -> None:
    """I + W_L = (I + ΔW_L) ... (I + ΔW_1), and W_L is the sum of the G_t, not L times the last one."""
    model, tokens, _ = make(rng)
    path = implicit_trajectory(model, tokens)
    product = np.eye(D)
    for delta in path.delta:
        product = (np.eye(D) + delta) @ product
    assert_close(product, np.eye(D) + path.accumulated[-1])
    assert_close(path.gradient.sum(axis=0), path.accumulated[-1])
    assert np.abs(LAYERS * path.gradient[-1] - path.accumulated[-1]).max() > 1e-3


def test_sufficiency(rng: np.random.Generator) -> None:
    """Other tokens with the same S, more of them even, give the same trajectory."""
    model, tokens, _ = make(rng)
    rotation = np.linalg.qr(rng.standard_normal((2 * N, N)))[0]
    other = rotation @ tokens * np.sqrt(2.0)  # 2N tokens: the mean halves what the factor doubles
    first, second = implicit_trajectory(model, tokens), implicit_trajectory(model, other)
    assert_close(second.gradient, first.gradient)


@given(order=st.permutations(range(N)))
def test_order_invariance(rng: np.random.Generator, order: list[int]) -> None:
    """Order of the demonstrations does not matter."""
    model, tokens, _ = make(rng)
    expected = implicit_trajectory(model, tokens)
    assert_close(implicit_trajectory(model, tokens[order]).gradient, expected.gradient)


@pytest.mark.parametrize("changed", range(LAYERS))
def test_edited_layer(rng: np.random.Generator, changed: int) -> None:
    """An edited layer changes nothing before it."""
    model, tokens, _ = make(rng)
    value = model.value.copy()
    value[changed] *= 2.0
    first = implicit_trajectory(model, tokens).gradient
    second = implicit_trajectory(model.replace(value=value), tokens).gradient
    np.testing.assert_array_equal(first[:changed], second[:changed])
    assert (np.abs(first[changed:] - second[changed:]).max(axis=(1, 2)) > 1e-6).all()


def test_rank(rng: np.random.Generator) -> None:
    """Rank is at most the number of demonstrations."""
    model, tokens, _ = make(rng)
    path = implicit_trajectory(model, tokens[:2])
    assert [np.linalg.matrix_rank(delta, tol=1e-10) for delta in path.delta] == [2] * LAYERS


def test_linear_mlp(rng: np.random.Generator) -> None:
    """Linear MLP enters through the left factor."""
    model, tokens, query = make(rng)
    inner, outer = rng.standard_normal((LAYERS, 4, D)), rng.standard_normal((LAYERS, D, 4))
    model = Model.create(model.value, model.key, model.query, 0.3 * inner, outer)
    path = implicit_trajectory(model, tokens)
    assert_close(query + path.accumulated[-1] @ query, forward_by_token(model, tokens, query)[1])


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_gradient_descent_loop(rng: np.random.Generator, steps: int) -> None:
    """Gradient descent is the loop."""
    x, y, matrix = rng.standard_normal((N, D)), rng.standard_normal(N), rng.standard_normal((D, D))
    expected = descend(x, y, steps, 0.1, matrix)
    assert_close(gradient_descent(x, y, steps=steps, step_size=0.1, preconditioner=matrix), expected)
    assert_close(gradient_descent(x, y, steps=steps, step_size=0.1), descend(x, y, steps, 0.1, np.eye(D)))


def test_least_squares_limit(rng: np.random.Generator) -> None:
    """Gradient descent reaches least squares."""
    x, y = rng.standard_normal((20, D)), rng.standard_normal(20)
    path = gradient_descent(x, y, steps=2000, step_size=0.5)
    assert_close(path[-1], np.linalg.lstsq(x, y, rcond=None)[0], 1e-9)


def test_implied_weights(rng: np.random.Generator) -> None:
    """Implied weights predict."""
    model, tokens, _ = make(rng)
    path = implicit_trajectory(model, tokens)
    query = np.array([0.3, -1.2, 0.0])
    slot = forward_by_token(model, tokens, query)[1][-1]
    assert_close(implied_weights(path.accumulated[-1], "minus") @ query[:-1], -slot)
    assert_close(implied_weights(path.accumulated[-1], "plus") @ query[:-1], slot)


def test_trajectory_refuses(rng: np.random.Generator) -> None:
    model, tokens, _ = make(rng)
    assert "tokens" in error_message(implicit_trajectory, model, tokens[0])
    assert "tokens" in error_message(implicit_trajectory, model, tokens * np.nan)
    assert "token dimension" in error_message(implicit_trajectory, model, tokens[:, :-1])
    for name in ("normalization", "readout", "kind", "mask", "activation"):
        assert f"{name}: got 'other'" in error_message(implicit_trajectory, model.replace(**{name: "other"}), tokens)
    for changes in ({"kind": "softmax"}, {"mask": "causal"}):
        assert "model for an implicit trajectory: got" in error_message(
            implicit_trajectory, model.replace(**changes), tokens
        )
    ensemble = Model(*(np.stack([a, a]) for a in (model.value, model.key, model.query)))
    assert "member" in error_message(implicit_trajectory, ensemble, tokens)


def test_gradient_descent_errors(rng: np.random.Generator) -> None:
    """Errors of gradient descent."""
    x, y = rng.standard_normal((N, D)), rng.standard_normal(N)
    assert "x:" in error_message(gradient_descent, y, y, steps=1, step_size=0.1)
    assert "x:" in error_message(gradient_descent, x * np.inf, y, steps=1, step_size=0.1)
    assert "y:" in error_message(gradient_descent, x, y[:-1], steps=1, step_size=0.1)
    for steps in (-1, 1.5, True):
        assert "steps" in error_message(gradient_descent, x, y, steps=steps, step_size=0.1)
    for size in (np.nan, np.inf, -np.inf, "0.1"):
        assert "step_size" in error_message(gradient_descent, x, y, steps=1, step_size=size)
    wrong = np.eye(D + 1)
    assert "preconditioner" in error_message(gradient_descent, x, y, steps=1, step_size=0.1, preconditioner=wrong)
