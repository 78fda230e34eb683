"""The implicit trajectory of a linear-attention transformer, and explicit gradient descent beside it."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory import _checks
from icl_theory._numerics import float64, transpose
from icl_theory.attention import NORMALIZATIONS, layer_update, second_moment
from icl_theory.weights import AttentionWeights, checked


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trajectory:
    """ΔW_t, G_t and W_t of every layer; G_t = ΔW_t (I + W_{t-1}), W_t = W_{t-1} + G_t, h_q^t = (I + W_t) h_q."""

    delta: Any
    """ΔW_t, the update of layer t acting on its own input, shape (L, D, D)."""
    gradient: Any
    """G_t, the implicit gradient (the increment of W_t), shape (L, D, D)."""
    accumulated: Any
    """W_0 = 0, W_1, ..., W_L, shape (L + 1, D, D)."""


def trajectory_from_moment(weights: AttentionWeights, moment: Any) -> Trajectory:
    """The whole trajectory from S alone: G_t = W_V M S Mᵀ W_Kᵀ W_Q M with M = I + W_{t-1}; jax arrays in and out.

    All tokens are multiplied by the same M, so S is sufficient and the cost does not depend on N.
    """
    identity = jnp.eye(moment.shape[-1], dtype=moment.dtype)

    def step(accumulated: Any, layer: AttentionWeights) -> tuple:
        m = identity + accumulated
        delta = layer_update(layer.left_factor(), layer.key, layer.query, m @ moment @ transpose(m))
        gradient = delta @ m
        return accumulated + gradient, (delta, gradient, accumulated + gradient)

    start = jnp.zeros_like(moment)
    _, (delta, gradient, after) = jax.lax.scan(step, start, weights)
    return Trajectory(delta, gradient, jnp.concatenate([start[None], after]))


_trajectory = jax.jit(trajectory_from_moment)


@float64
def implicit_trajectory(weights: AttentionWeights, demonstrations: Any, *, normalization: str = "mean") -> Trajectory:
    """ΔW_t, G_t and W_t of every layer of a linear-attention transformer.

    Args:
        weights: value, key, query, each (L, D, D); an MLP is taken as linear (Y App. A.3).
        demonstrations: tokens h_i = [x_i; y_i], shape (N, D).
        normalization: "mean", S = (1/N) Σ h hᵀ (Y Section 3.3), or "sum" (Y Section 3.2).

    Returns: `Trajectory`, float64. Cost O(N D² + L D³).
    Raises: ValueError for wrong shapes, NaN or an unknown normalization.
    Source: Y Theorem 1 with the index corrected (arXiv:2406.03768v2); sufficiency of S is new.
    """
    tokens = _checks.array("demonstrations", demonstrations, (None, None), "pass one token per row")
    _checks.choice("normalization", normalization, NORMALIZATIONS)
    return _trajectory(checked(weights, tokens.shape[1]), second_moment(tokens, normalization))


@jax.jit
def _descend(x: Any, y: Any, steps: Any, matrix: Any) -> Any:
    def step(w: Any, _: Any) -> tuple:
        after = w - matrix @ (x.T @ (x @ w - y)) / x.shape[0]
        return after, after

    start = jnp.zeros(x.shape[1], dtype=x.dtype)
    return jnp.concatenate([start[None], jax.lax.scan(step, start, steps)[1]])


@float64
def gradient_descent(x: Any, y: Any, *, steps: int, step_size: float, preconditioner: Any = None) -> Any:
    """w_{k+1} = w_k - η P (1/N) Σ (w_k·x_i - y_i) x_i from w_0 = 0, on the loss (1/2N) Σ (w·x_i - y_i)².

    Args:
        x: inputs, shape (N, d_x). y: labels, shape (N,).
        steps: number of steps, at least 0. step_size: η.
        preconditioner: P, shape (d_x, d_x); the identity if None.

    Returns: w_0, ..., w_steps, shape (steps + 1, d_x), float64.
    Raises: ValueError for wrong shapes, NaN or a negative number of steps.
    """
    x = _checks.array("x", x, (None, None), "pass one input per row")
    y = _checks.array("y", y, (x.shape[0],), "pass one label per input")
    steps = _checks.integer("steps", steps, 0, None, "take no step or more")
    step_size = _checks.number("step_size", step_size, low=-np.inf, cure="pass a finite step size")
    matrix = np.eye(x.shape[1]) if preconditioner is None else preconditioner
    matrix = _checks.array("preconditioner", matrix, (x.shape[1], x.shape[1]))
    return _descend(x, y, jnp.arange(steps), step_size * matrix)


def implied_weights(accumulated: Any, readout: str = "minus") -> Any:
    """p with ŷ = p · x_q (one output): the y-x block of W_L with the readout's sign, shape (..., d_x)."""
    _checks.choice("readout", readout, ("minus", "plus"))
    row = accumulated[..., -1, :-1]
    return -row if readout == "minus" else row
