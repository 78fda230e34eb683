"""An ensemble under training: its settings, its first weights, its random numbers, and one compiled chunk of steps."""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from icl_theory import _checks
from icl_theory.risk import READOUTS, final_implied_weights, quadratic_loss
from icl_theory.tasks import assemble_moments
from icl_theory.weights import AttentionWeights

CHUNK_ENTRIES = 2**22
"""Most random numbers drawn ahead for one compiled chunk of steps (16 MiB in float32)."""
CHUNKS = 10
"""Fewest chunks of a run, hence the fewest calls of `progress`."""
CHUNKS_WITH_STOP = 40
"""Fewest chunks where every border may be the end: a finer grid wastes fewer steps, each border costs about 1 ms."""


@dataclass(frozen=True)
class TrainConfig:
    """What, beside the task and the key, determines a run; every field is a plain number or string."""

    layers: int
    """L."""
    shots: int
    """N, the demonstrations of a training prompt."""
    steps: int
    """Optimiser steps."""
    seeds: int
    """Ensemble members, each with its own initial weights and its own data."""
    batch: int
    """Prompts per step and seed."""
    learning_rate: float
    """Adam's step size at the start; it falls to 0 along half a cosine."""
    init_scale: float
    """Size a of the initial weights: W_K = W_Q = a O with O orthogonal, W_V alike (see `initial_weights`)."""
    clip_norm: float
    """The gradient of one seed is scaled down to this Euclidean norm if it is longer."""
    readout: str
    """"minus" or "plus"."""
    stop_excess: float | None = None
    """Stop once every seed's exact risk is within this share of the optimum (0.01: 1 %); None: run all steps."""


def checked_config(config: TrainConfig) -> TrainConfig:
    """The settings as plain Python numbers, or a refusal."""
    counts = ("layers", "shots", "steps", "seeds", "batch")
    # init_scale: zero weights have a zero gradient.
    sizes = {"learning_rate": "0.02", "init_scale": "0.2", "clip_norm": "1"}
    plain: dict[str, Any] = {
        name: _checks.integer(name, getattr(config, name), 1, None, "use at least one") for name in counts
    } | {
        name: _checks.number(name, getattr(config, name), low=0.0, strict=True, cure=f"try {default}")
        for name, default in sizes.items()
    }
    _checks.choice("readout", config.readout, READOUTS)
    if config.stop_excess is not None:
        cure = "try 0.01, or None for all steps"
        plain["stop_excess"] = _checks.number("stop_excess", config.stop_excess, low=0.0, strict=True, cure=cure)
    return replace(config, **plain)


def initial_weights(rng: np.random.Generator, config: TrainConfig, dimension: int) -> AttentionWeights:
    """W_K = W_Q = a O (O random orthogonal), W_V normal with deviation a / √D but its label entry ∓a; float32.

    Independent W_K, W_Q, W_V leave W_KᵀW_Q with directions of the wrong sign; each must then cross a singular
    matrix, and for an anisotropic Λ most one-layer members stayed at 2.5 times the optimal risk. Here every
    direction descends from the first step on.
    """
    scale, shape = config.init_scale, (config.seeds, config.layers, dimension, dimension)
    value = scale / math.sqrt(dimension) * rng.standard_normal(shape)
    value[..., -1, -1] = -scale if config.readout == "minus" else scale
    key = scale * np.linalg.qr(rng.standard_normal(shape))[0]
    value, key = value.astype(np.float32), key.astype(np.float32)
    return AttentionWeights(value, key, key)


def chunk_length(config: TrainConfig, dim: int) -> int:
    """Steps per compiled chunk: equal lengths, so that one compilation serves all of them.

    The last chunk may run past `steps`; there the cosine has reached 0 and the surplus steps change nothing.
    """
    width = min(dim, config.shots)
    entries = config.seeds * config.batch * (dim * width + width + dim + 1)
    fewest = CHUNKS if config.stop_excess is None else CHUNKS_WITH_STOP
    chunks = max(fewest, math.ceil(config.steps * entries / CHUNK_ENTRIES))
    return math.ceil(config.steps / min(chunks, config.steps))


def draw_chunk(rng: np.random.Generator, config: TrainConfig, length: int, dim: int, task_root: np.ndarray) -> tuple:
    """Bartlett factor T, task w, Qᵀε and the χ² rest for a chunk; each with leading axes (length, seeds, batch).

    Drawn by numpy outside the scan: its χ² variates cost a fixed time for any degrees of freedom, where jax's
    rejection loops inside the scan took longer than the training of one layer and seconds more to compile.
    """
    lead, width, shots = (length, config.seeds, config.batch), min(dim, config.shots), config.shots
    factor = rng.standard_normal((*lead, dim, width), dtype=np.float32)
    if shots >= dim:
        index = np.arange(dim)
        factor *= np.tri(dim, k=-1, dtype=np.float32)
        factor[..., index, index] = _chi(rng, shots - index, (*lead, dim))
    w = rng.standard_normal((*lead, dim), dtype=np.float32) @ task_root
    inside = rng.standard_normal((*lead, width), dtype=np.float32)
    rest = _chi(rng, np.asarray(shots - width), lead) ** 2 if shots > width else np.zeros(lead, np.float32)
    return factor, w, inside, rest


def _chi(rng: np.random.Generator, freedom: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Square roots of χ² variates, float32."""
    return np.sqrt(rng.chisquare(freedom, size)).astype(np.float32)


def _optimizer(steps: Any, learning_rate: Any, clip_norm: Any) -> Any:
    """Clipped Adam whose step size falls to 0 along half a cosine; the arguments may be traced.

    `optax.cosine_decay_schedule` is the same curve, but it wants the number of steps at compile time.
    """

    def schedule(count: Any) -> Any:
        return 0.5 * learning_rate * (1 + jnp.cos(jnp.pi * jnp.minimum(count / steps, 1.0)))

    return optax.chain(
        optax.clip_by_global_norm(clip_norm), optax.scale_by_adam(), optax.scale_by_learning_rate(schedule)
    )


def initial_optimizer(weights: Any) -> Any:
    """The optimiser's state for every seed."""
    return jax.vmap(_optimizer(1, 1.0, 1.0).init)(weights)


def _batch_loss(weights: AttentionWeights, draw: tuple, data: tuple, readout: str) -> Any:
    """Mean of (p - w)ᵀ Λ (p - w) over the prompts of one step of one seed."""
    (factor, w, inside, rest), (root, covariance, noise_std, shots) = draw, data
    moments = assemble_moments(root, noise_std, factor, w, inside, rest, shots, jnp)
    p = final_implied_weights(weights, jnp.moveaxis(moments, 0, -1), readout)
    return quadratic_loss(p.T, w, covariance).mean()


@jax.jit(static_argnames="readout")
def run_chunk(weights: Any, state: Any, draws: tuple, data: tuple, schedule: tuple, readout: str) -> tuple:
    """A chunk of steps of every seed; settings are traced, so that only shapes and the readout recompile."""
    update = _optimizer(*schedule).update

    def member(weights: Any, state: Any, draw: tuple) -> tuple:
        loss, gradient = jax.value_and_grad(_batch_loss)(weights, draw, data, readout)
        # One prompt can overflow float32 in a deep model (p is of degree (3^L - 1) / 2 in S): such a step is left
        # out instead of turning the member into NaN for good; the loss that `train` returns still shows it.
        finite = jnp.isfinite(sum((g**2).sum() for g in jax.tree.leaves(gradient)))
        gradient = jax.tree.map(lambda g: jnp.where(finite, g, 0.0), gradient)
        change, state = update(gradient, state)
        return optax.apply_updates(weights, change), state, loss

    def step(carry: tuple, draw: tuple) -> tuple:
        weights, state, loss = jax.vmap(member)(carry[0], carry[1], draw)
        return (weights, state), loss

    (weights, state), losses = jax.lax.scan(step, (weights, state), draws)
    return weights, state, losses
