"""The implicit trajectory of a linear-attention transformer, and explicit gradient descent to compare with."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import float64, transpose, under_jax
from icl_theory.core.results import Result
from icl_theory.models.attention import layer_update, second_moment
from icl_theory.models.checked import checked_linear, require_linear
from icl_theory.models.model import Model
from icl_theory.models.programs import program


@fields_in_help
@jax.tree_util.register_dataclass
@dataclass(frozen=True, repr=False)
class Trajectory(Result):
    """ΔW_t, G_t and W_t of every layer; G_t = ΔW_t (I + W_{t-1}), W_t = W_{t-1} + G_t, h_q^t = (I + W_t) h_q.

    Example:
        >>> import numpy as np
        >>> from icl_theory import gradient_descent_weights, implicit_trajectory
        >>> path = implicit_trajectory(gradient_descent_weights(1, layers=2), [[1.0, 2.0], [3.0, 6.0]])
        >>> bool(np.allclose(np.diff(path.accumulated, axis=0), path.gradient))
        True
    """

    delta: Any
    """ΔW_t, the update of layer t acting on its own input, shape (L, D, D)."""
    gradient: Any
    """G_t, the implicit gradient (the increment of W_t), shape (L, D, D)."""
    accumulated: Any
    """W_0 = 0, W_1, ..., W_L, shape (L + 1, D, D)."""


def trajectory_from_moment(model: Model, moment: Any) -> Trajectory:
    """The whole trajectory from S alone: G_t = W_V M S Mᵀ W_Kᵀ W_Q M with M = I + W_{t-1}; jax arrays in and out.

    All tokens are multiplied by the same M, so S is sufficient and the cost does not depend on N.
    """
    identity = jnp.eye(moment.shape[-1], dtype=moment.dtype)

    def step(accumulated: Any, layer: Model) -> tuple:
        m = identity + accumulated
        delta = layer_update(layer.left_factor(), layer.key, layer.query, m @ moment @ transpose(m))
        gradient = delta @ m
        return accumulated + gradient, (delta, gradient, accumulated + gradient)

    start = jnp.zeros_like(moment)
    _, (delta, gradient, after) = jax.lax.scan(step, start, model)
    return Trajectory(delta, gradient, jnp.concatenate([start[None], after]))


_trajectory = program(trajectory_from_moment, readout="unread")


def _traced(model: Model, tokens: Any) -> Trajectory:
    require_linear(model, "an implicit trajectory")
    return trajectory_from_moment(model, second_moment(jnp.asarray(tokens), model.normalization))


@under_jax(_traced)
@float64
def implicit_trajectory(model: Model, tokens: Any) -> Trajectory:
    """ΔW_t, G_t and W_t of every layer of a linear-attention transformer.

    Inside jit, vmap and grad it is a function of jax arrays in the precision that they have; numbers are not checked.

    Args:
        model: a single model: linear attention over all demonstrations, any number of heads; its MLP, if it has one,
            linear (Y App. A.3). S = (1/N) Σ h hᵀ (Y Section 3.3), without the 1/N for normalization "sum" (3.2).
        tokens: the demonstrations h_i = [x_i; y_i], shape (N, D).

    Returns: `Trajectory`, float64. Cost O(N D² + L D³).
    Raises: ValueError for wrong shapes, NaN, or a model that is not linear in S.
    Source: Y Theorem 1 with the index corrected (arXiv:2406.03768v2); sufficiency of S is new.

    Example:
        >>> import numpy as np
        >>> from icl_theory import forward, gradient_descent_weights, implicit_trajectory
        >>> model, tokens = gradient_descent_weights(1, layers=2), [[1.0, 2.0], [3.0, 6.0]]
        >>> path = implicit_trajectory(model, tokens)
        >>> query = np.array([1.0, 0.0])
        >>> bool(np.allclose(forward(model, tokens, query), query + path.accumulated[-1] @ query))
        True
    """
    tokens = checks.array("tokens", tokens, (None, None), "pass one token per row")
    model = checked_linear(model, tokens.shape[1], "an implicit trajectory", sums=True)
    return _trajectory(model, second_moment(tokens, model.normalization))
