"""The forward pass and the trajectory inside jit, vmap and grad: the same numbers, in the precision that they have."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_close

from icl_theory import LinearRegression, Prompt, forward, implicit_trajectory, predict, random_weights
from icl_theory.models.model import Model

MODEL = random_weights(3, layers=2, token_dim=4, scale=0.5)
PROMPT = LinearRegression(3, noise_std=0.5).sample(1, batch=5, shots=7)


def at(x_query: Any) -> Prompt:
    """The same demonstrations with other queries."""
    return Prompt(PROMPT.x, PROMPT.y, x_query, PROMPT.y_query)


def test_sensitivity() -> None:
    """∂ŷ/∂x_q of linear attention is p, minus the label row of W_L."""
    with jax.enable_x64(True):
        found = jax.grad(lambda x_query: predict(MODEL, at(x_query)).sum())(jnp.asarray(PROMPT.x_query))
    rows = [-implicit_trajectory(MODEL, tokens).accumulated[-1][-1, :-1] for tokens in PROMPT.tokens()]
    assert_close(np.asarray(found), np.array(rows))


@pytest.mark.parametrize("options", [{}, {"kind": "softmax"}, {"readout": "plus"}, {"mask": "causal"}])
def test_same_numbers(options: dict[str, Any]) -> None:
    """jit and vmap of every function, for every kind of attention that it knows."""
    model, tokens = MODEL.replace(**options), PROMPT.tokens()
    query = np.append(PROMPT.x_query[0], 0.0)
    with jax.enable_x64(True):
        assert_close(np.asarray(jax.jit(predict)(model, PROMPT)), predict(model, PROMPT))
        each = jax.vmap(lambda h: forward(model, h, query))(jnp.asarray(tokens))
    assert_close(np.asarray(each), np.array([forward(model, h, query) for h in tokens]))
    if model.linear_in_moments:
        with jax.enable_x64(True):
            paths = jax.vmap(lambda h: implicit_trajectory(model, h))(jnp.asarray(tokens))
        assert_close(np.asarray(paths.accumulated[2]), implicit_trajectory(model, tokens[2]).accumulated)


def test_precision() -> None:
    """Inside, single precision stays single; outside, everything is float64."""
    small = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), MODEL)
    inside = jax.jit(predict)(small, jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), PROMPT))
    assert (inside.dtype, predict(MODEL, PROMPT).dtype) == (jnp.float32, np.float64)


def test_refused_inside() -> None:
    """What the static fields say is still checked, whether tokens or weights are traced."""

    def path(model: Model) -> Any:
        return implicit_trajectory(model.replace(kind="softmax"), PROMPT.tokens()[0]).delta.sum()

    for transformed in (jax.jit(path), jax.grad(path)):
        with pytest.raises(ValueError, match="got kind='softmax', expected linear attention"):
            transformed(jax.tree.map(jnp.asarray, MODEL))
