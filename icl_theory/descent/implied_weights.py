"""The weight p with ŷ = p · x_q: from a trajectory, or straight from second moments as training needs it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory.core.numerics import float64, transpose
from icl_theory.descent.trajectory import trajectory_from_moment
from icl_theory.models.model import Model
from icl_theory.models.options import Readout
from icl_theory.models.programs import program

SMALL = 8
"""Token dimension from which on stacks are multiplied by XLA's own matrix product."""


BLOCK = 256
"""Prompts whose stacks are worked on together."""
FEW_LAYERS = 6
"""Layers up to which the gradient may keep everything: time before memory."""


def quadratic_loss(p: Any, w: Any, covariance: Any) -> Any:
    """(p - w)ᵀ Λ (p - w), the squared error with x_q integrated out; p, w (..., d_x), numpy or jax."""
    difference = p - w
    return ((difference @ covariance) * difference).sum(-1)


def implied_from_moments(model: Model, moments: Any) -> Any:
    """p after every layer, shape (batch, L, d_x), for second moments (batch, D, D); jax arrays, for use in jit."""
    accumulated = jax.vmap(lambda s: trajectory_from_moment(model, s).accumulated[1:])(moments)
    return implied_weights(accumulated, model.readout)


def _product(a: Any, b: Any) -> Any:
    """Matrix products of two stacks (D, D, batch).

    Small ones run along the batch, which XLA turns into vector instructions; from about D = 8 on its batched matrix
    product is faster in spite of the transposition, ten times so at D = 21.
    """
    if len(a) < SMALL:
        return (a[:, :, None] * b[None]).sum(1)
    return jnp.einsum("ikb,kjb->ijb", a, b)


def _next_map(m: Any, moments: Any, values: Any, products: Any, first: bool) -> Any:
    """M after one more layer, (I + ΔW) M, for stacks (D, D, batch); `first` says that M is the identity."""
    own = moments if first else _product(_product(m, moments), m.swapaxes(0, 1))
    delta = sum(
        jnp.einsum("ijb,jk->ikb", jnp.einsum("ij,jkb->ikb", value, own), product)
        for value, product in zip(values, products, strict=True)
    )
    return m + (delta if first else _product(delta, m))


def final_implied_weights(model: Model, moments: Any) -> Any:
    """p after the last layer, shape (d_x, batch), from stacks S (D, D, batch); the twin of `trajectory_from_moment`.

    Prompts stand on the last axis, so that the small products run along it, which XLA turns into vector
    instructions; the first layer has M = I, and of the last only the label's row is needed. Several times faster
    than the generic trajectory under vmap, which the tests hold it against.
    """
    model = model.without_mlp().with_heads()
    products = transpose(model.key) @ model.query
    m = jnp.broadcast_to(jnp.eye(moments.shape[0], dtype=moments.dtype)[:, :, None], moments.shape)
    # A deep model's gradient keeps M only and computes the inside of a layer again: 1.4 instead of 2 GiB at 12 layers.
    step = jax.checkpoint(_next_map, static_argnums=4) if model.layers > FEW_LAYERS else _next_map
    for t in range(model.layers - 1):
        m = step(m, moments, model.value[t], products[t], t == 0)
    total = jnp.zeros(moments.shape[1:], moments.dtype)
    for value, product in zip(model.value[-1], products[-1], strict=True):
        row = jnp.einsum("i,ijb->jb", value[-1], m)  # Mᵀv, then S, M, W_QᵀW_K and Mᵀ from the left
        row = (m * (moments * row).sum(1)).sum(1)
        total += product.T @ row
    row = (m[-1] + (m * total[:, None]).sum(0))[:-1]
    return -row if model.readout == "minus" else row


@functools.partial(program, readout="sign")
def _block(model: Model, moments: Any) -> Any:
    return final_implied_weights(model, jnp.moveaxis(moments, 0, -1)).T


@float64
def final_weights(model: Model, moments: Any) -> Any:
    """p after the last layer for many prompts, shape (batch, d_x), from S (batch, D, D); numpy in and out.

    In blocks of one size that stay in the processor's cache: the intermediate stacks of 2048 prompts do not, and one
    program serves every number of prompts.
    """
    batch, blocks = len(moments), -(-len(moments) // BLOCK)
    filled = np.zeros((blocks * BLOCK, *np.shape(moments)[1:]))
    filled[:batch] = moments
    made = [_block(model, filled[place * BLOCK : (place + 1) * BLOCK]) for place in range(blocks)]
    return np.concatenate([np.asarray(block) for block in made])[:batch]


def implied_weights(accumulated: Any, readout: Readout) -> Any:
    """p with ŷ = p · x_q (one output): the y-x block of W_L with the readout's sign, shape (..., d_x)."""
    row = accumulated[..., -1, :-1]
    return -row if readout == "minus" else row
