"""The implicit trajectory of a linear-attention transformer, and explicit gradient descent beside it."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from icl_theory.core import checks
from icl_theory.core.numerics import float64, transpose
from icl_theory.models.attention import NORMALIZATIONS, layer_update, second_moment
from icl_theory.models.weights import AttentionWeights, checked


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
    tokens = checks.array("demonstrations", demonstrations, (None, None), "pass one token per row")
    checks.choice("normalization", normalization, NORMALIZATIONS)
    return _trajectory(checked(weights, tokens.shape[1]), second_moment(tokens, normalization))
