"""Precision of matrix products where jax is left to choose it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from icl_theory import random_weights
from icl_theory.core.numerics import float64, whole_float32
from icl_theory.models.attention import forward_tokens, predict_batch
from icl_theory.training.ensemble import batch_loss


def products(function: Any, *arguments: Any) -> list[str]:
    """The precision of every matrix product that jax traces."""
    text = str(jax.make_jaxpr(function)(*arguments))
    return [part.split("\n")[0] for part in text.split("precision=")[1:]]


def test_whole_float32() -> None:
    """Every product of models and training asks for all digits, its gradient too; without asking none does."""
    model = jax.tree.map(np.float32, random_weights(0, layers=2, token_dim=3))
    x, y, query = np.zeros((4, 5, 2), np.float32), np.zeros((4, 5), np.float32), np.zeros((4, 2), np.float32)
    tokens = jnp.zeros((5, 3), jnp.float32)
    draw = {"x": x, "y": y, "x_query": query, "y_query": np.zeros(4, np.float32)}
    loss = jax.grad(lambda m: batch_loss(m, draw, (None, None, 0.0, 5)))
    for function, arguments in (
        (lambda m: predict_batch(m, x, y, query), (model,)),
        (lambda m: forward_tokens(m, tokens, tokens[0]), (model,)),
        (loss, (model,)),
    ):
        found = products(function, *arguments)
        assert found
        assert all("HIGHEST" in precision for precision in found)
    plain = products(lambda a: a @ a, tokens[:3])
    assert plain == []
    assert all("HIGHEST" in precision for precision in products(whole_float32(lambda a: a @ a), tokens[:3]))


@pytest.mark.parametrize("wrapper", [float64, whole_float32])
def test_names(wrapper: Any) -> None:
    """Name and docstring are kept, results go through."""

    def double(value: float) -> float:
        """Twice."""
        return 2 * value

    wrapped = wrapper(double)
    assert (wrapped.__name__, wrapped.__doc__, float(wrapped(2.0))) == ("double", "Twice.", 4.0)
