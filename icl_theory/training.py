"""Training ensembles of linear-attention models: seeds in one vmap, steps in one scan, at a cost free of N."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from icl_theory import _checks
from icl_theory._numerics import generator
from icl_theory.attention import AttentionWeights
from icl_theory.risk import READOUTS, final_implied_weights, quadratic_loss
from icl_theory.tasks import LinearRegression, assemble_moments

CHUNK_ENTRIES = 2**22
"""Most random numbers drawn ahead for one compiled chunk of steps (16 MiB in float32)."""
CHUNKS = 10
"""Fewest chunks of a run, hence the fewest calls of `progress`."""


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
    """Size a of the initial weights: W_K = W_Q = a O with O orthogonal, W_V of the same size (see `_initial`)."""
    clip_norm: float
    """The gradient of one seed is scaled down to this Euclidean norm if it is longer."""
    readout: str
    """"minus" or "plus"."""


@dataclass(frozen=True)
class TrainResult:
    """A trained ensemble."""

    weights: AttentionWeights
    """value, key, query, each (seeds, layers, D, D), numpy float32; `weights.member(s)` is one model."""
    losses: np.ndarray
    """Batch mean of (p - w)ᵀΛ(p - w) before each step, shape (seeds, steps), numpy float32: unbiased, noisy."""
    config: TrainConfig
    """The settings of the run."""
    diverged: np.ndarray
    """Members whose weights or last loss are not finite, shape (seeds,), bool."""


def train(
    task: LinearRegression,
    key: Any,
    *,
    layers: int,
    shots: int,
    steps: int = 1000,
    seeds: int = 8,
    batch: int = 64,
    learning_rate: float = 0.02,
    init_scale: float = 0.2,
    clip_norm: float = 1.0,
    readout: str = "minus",
    progress: Callable[[int, int, float], None] | None = None,
) -> TrainResult:
    """Minimise E (p - w)ᵀ Λ (p - w) = E (ŷ - y)² over W_V, W_K, W_Q of every layer, where ŷ = p · x_q.

    Linear attention over the demonstrations, mean normalisation. Adam, a learning rate falling to 0 along half a
    cosine, the gradient clipped to `clip_norm`. Every step and every seed draws fresh prompts (no finite training
    set): S comes from Bartlett's decomposition and x_q is integrated out, so time and memory do not depend on N
    and the gradient has no noise from the query. float32.

    Args:
        task: Gaussian inputs; Λ, Ω and σ may be anything.
        key: a jax.random.key or a whole number; it fixes initial weights and data, the members being independent.
        layers: L. shots: N.
        steps, seeds, batch, learning_rate, init_scale, clip_norm, readout: see `TrainConfig`.
        progress: called as progress(step, steps, mean_loss) after every compiled chunk of steps, with the mean
            loss over seeds and the chunk's steps in squared label units; it does not influence the result.

    Returns: `TrainResult`. A member that diverges raises nothing, it is marked in `TrainResult.diverged`.
    Raises: ValueError for uniform inputs, or a setting out of its range.
    Source: Ahn et al. 2023, Section 3 (arXiv:2306.00297v2) for the loss.
    """
    task.require_gaussian("training on S drawn directly")
    config = _checked(TrainConfig(layers, shots, steps, seeds, batch, learning_rate, init_scale, clip_norm, readout))
    rng = generator(key)
    weights = _initial(rng, config, task.token_dimension)
    state = _start(weights)
    data = np.float32(task.input_root), np.float32(task.covariance), np.float32(task.noise_std), config.shots
    schedule = config.steps, config.learning_rate, config.clip_norm
    root, length = task.task_root.astype(np.float32), _chunk_length(config, task.dim)
    losses: list[Any] = []
    for done in range(0, config.steps, length):
        draws = _draw(rng, config, length, task.dim, root)
        weights, state, chunk = _run_chunk(weights, state, draws, data, schedule, readout)
        losses.append(chunk)
        # Numpy draws one chunk ahead while XLA works, and no more: the queue would hold every chunk's numbers.
        jax.block_until_ready(losses[-2:][0])
        if progress is not None:
            mean = np.asarray(chunk)[: config.steps - done].mean()
            progress(min(done + length, config.steps), config.steps, float(mean))
    return _result(weights, np.concatenate(losses)[: config.steps].T, config)


def _checked(config: TrainConfig) -> TrainConfig:
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
    return replace(config, **plain)


def _initial(rng: np.random.Generator, config: TrainConfig, dimension: int) -> AttentionWeights:
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


def _chunk_length(config: TrainConfig, dim: int) -> int:
    """Steps per compiled chunk: equal lengths, so that one compilation serves all of them.

    The last chunk may run past `steps`; there the cosine has reached 0 and the surplus steps change nothing.
    """
    width = min(dim, config.shots)
    entries = config.seeds * config.batch * (dim * width + width + dim + 1)
    chunks = max(CHUNKS, math.ceil(config.steps * entries / CHUNK_ENTRIES))
    return math.ceil(config.steps / min(chunks, config.steps))


def _draw(rng: np.random.Generator, config: TrainConfig, length: int, dim: int, task_root: np.ndarray) -> tuple:
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


def _start(weights: Any) -> Any:
    """The optimiser's state for every seed."""
    return jax.vmap(_optimizer(1, 1.0, 1.0).init)(weights)


def _batch_loss(weights: AttentionWeights, draw: tuple, data: tuple, readout: str) -> Any:
    """Mean of (p - w)ᵀ Λ (p - w) over the prompts of one step of one seed."""
    (factor, w, inside, rest), (root, covariance, noise_std, shots) = draw, data
    moments = assemble_moments(root, noise_std, factor, w, inside, rest, shots, jnp)
    p = final_implied_weights(weights, jnp.moveaxis(moments, 0, -1), readout)
    return quadratic_loss(p.T, w, covariance).mean()


@jax.jit(static_argnames="readout")
def _run_chunk(weights: Any, state: Any, draws: tuple, data: tuple, schedule: tuple, readout: str) -> tuple:
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


def _result(weights: AttentionWeights, losses: np.ndarray, config: TrainConfig) -> TrainResult:
    """Everything as numpy, with the members that diverged marked."""
    weights = jax.tree.map(np.asarray, weights)
    finite = np.isfinite(losses[:, -1])
    for matrix in jax.tree.leaves(weights):
        finite &= np.isfinite(matrix).all(axis=(1, 2, 3))
    return TrainResult(weights, losses, config, ~finite)
