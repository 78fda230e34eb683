"""An ensemble under training: its settings, its first weights, and one compiled chunk of steps."""

import math
from dataclasses import fields
from functools import partial
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax

from icl_theory.core import checks
from icl_theory.core.numerics import whole_float32
from icl_theory.descent.implied_weights import final_implied_weights, quadratic_loss
from icl_theory.models.attention import predict_batch
from icl_theory.models.model import Model
from icl_theory.models.options import OPTIONS
from icl_theory.training.config import CheckedConfig, Sampling, TrainConfig
from icl_theory.training.optimizer import clipped_adam
from icl_theory.training.prompt_sources import Draw, Pool, Source, moments_of

CHUNK_ENTRIES = 2**22
"""Most random numbers drawn ahead for one compiled chunk of steps (16 MiB in float32)."""
CHUNKS = 10
"""Fewest chunks of a run, hence the fewest calls of `progress`."""
CHUNKS_WITH_STOP = 24
"""Fewest chunks where every border may be the end: a finer grid wastes fewer steps, each border costs about 1 ms."""
OVERFLOW_LOSS = 1e20
"""Loss from which on a prompt is left out of the batch of a deep model, in squared label units."""
DEEP = 4
"""Layers up to which the short schedule trains reliably, see experiments/training_reliability.py."""


def checked_config(config: TrainConfig) -> CheckedConfig:
    """The settings as plain Python numbers, the schedule written out.

    Raises: ValueError for a setting that is out of range.
    """
    steps, learning_rate = schedule_for(config.layers, config.steps, config.learning_rate)
    given: dict[str, Any] = {field.name: getattr(config, field.name) for field in fields(TrainConfig)}
    given |= {"steps": steps, "learning_rate": learning_rate}
    counts = ("layers", "shots", "steps", "seeds", "batch", "heads", "prompts_per_task")
    # init_scale: zero weights have a zero gradient.
    sizes = {"learning_rate": "0.02", "init_scale": "0.2", "clip_norm": "1"}
    plain: dict[str, Any] = {
        name: checks.integer(name, given[name], 1, None, "use at least one") for name in counts
    } | {
        name: checks.number(name, given[name], low=0.0, strict=True, hint=f"try {default}")
        for name, default in sizes.items()
    }
    choices = {name: get_args(OPTIONS[name]) for name in ("readout", "kind", "mask", "activation")}
    for name, options in (choices | {"sampling": get_args(Sampling)}).items():
        checks.choice(name, given[name], options)
    plain["hidden"] = checks.integer("hidden", config.hidden, 0, None, "use 0 for no MLP")
    if config.tasks is not None:
        plain["tasks"] = checks.integer(
            "tasks", config.tasks, 1, None, "use None for an unlimited supply of fresh tasks"
        )
    elif config.prompts_per_task > 1:
        got = f"{config.prompts_per_task} without a number of tasks"
        raise checks.error("prompts_per_task", got, "1, or a finite set", "say how many tasks it has")
    if config.stop_excess is not None:
        hint = "try 0.01, or None for all steps"
        plain["stop_excess"] = checks.number("stop_excess", config.stop_excess, low=0.0, strict=True, hint=hint)
    return CheckedConfig(**given | plain)


def schedule_for(layers: Any, steps: int | None, learning_rate: float | None) -> tuple[int, float]:
    """Steps and learning rate, with those that suit the depth where None stands for them."""
    deep = isinstance(layers, int) and layers > DEEP
    long, slow = (2000, 0.01) if deep else (1000, 0.02)
    return long if steps is None else steps, slow if learning_rate is None else learning_rate


def _orthogonal(rng: np.random.Generator, lead: tuple[int, ...], rows: int, columns: int) -> np.ndarray:
    """Random matrices with orthonormal columns, or rows if there are more columns, float32."""
    q = np.linalg.qr(rng.standard_normal((*lead, max(rows, columns), min(rows, columns))))[0]
    return (q if rows >= columns else q.swapaxes(-1, -2)).astype(np.float32)


def initial_weights(rng: np.random.Generator, config: CheckedConfig, dimension: int, outputs: int = 1) -> Model:
    """W_K = W_Q = a O (O random orthogonal), W_V normal with deviation a / √D but its label block ∓a I; float32.

    Independent W_K, W_Q, W_V leave W_KᵀW_Q with directions of the wrong sign; each must then cross a singular
    matrix, and for an anisotropic Λ most one-layer members stayed at 2.5 times the optimal risk. Here every
    direction descends from the first step on. Heads share W_V equally. An MLP starts as W_in with orthonormal rows or
    columns and W_out = W_inᵀ (twice that for ReLU, which passes half), so that it begins near the identity. Tied
    layers have one set of matrices.
    """
    scale, layers = config.init_scale, 1 if config.tied else config.layers
    heads = (config.heads,) if config.heads > 1 else ()
    lead = (config.seeds, layers, *heads)
    value = scale / math.sqrt(dimension) * rng.standard_normal((*lead, dimension, dimension))
    label = -scale if config.readout == "minus" else scale
    value[..., -outputs:, -outputs:] = label * np.eye(outputs)
    key = np.float32(scale) * _orthogonal(rng, lead, dimension, dimension)
    mlp_in = mlp_out = None
    if config.hidden:
        mlp_in = _orthogonal(rng, lead[:2], config.hidden, dimension)
        mlp_out = np.ascontiguousarray(mlp_in.swapaxes(-1, -2)) * np.float32(2 if config.activation == "relu" else 1)
    value = (value / config.heads).astype(np.float32)
    options = {name: getattr(config, name) for name in ("kind", "mask", "activation", "readout")}
    return Model(value, key, key, mlp_in, mlp_out, heads=heads[0] if heads else None, **options)


def chunk_length(config: CheckedConfig, entries: int) -> int:
    """Steps per compiled chunk for prompts of so many numbers: equal lengths, so that one compilation serves all.

    The last chunk may run past `steps`; there the cosine has reached 0 and the surplus steps change nothing.
    """
    fewest = CHUNKS if config.stop_excess is None else CHUNKS_WITH_STOP
    chunks = max(fewest, math.ceil(config.steps * config.seeds * config.batch * entries / CHUNK_ENTRIES))
    return math.ceil(config.steps / min(chunks, config.steps))


def draw_chunk(rng: np.random.Generator, config: CheckedConfig, length: int, source: Source | Pool) -> Draw:
    """The data of a chunk, leading axes (seeds, length, batch)."""
    return source.draw(rng, (config.seeds, length, config.batch))


@whole_float32
def batch_loss(model: Model, draw: Draw, data: tuple, copies: int = 1) -> Any:
    """Mean loss over the prompts of one step of one seed.

    (p - w)ᵀ Λ (p - w) where the task w was drawn, (p · x_q - y_q)² where S and a query were, |ŷ - y_q|² for tokens.
    """
    root, covariance, noise_std, shots = data
    model = model.repeated(copies)
    if "x" in draw:
        guess = predict_batch(model, draw["x"], draw["y"], draw["x_query"])
        return ((guess - draw["y_query"]) ** 2).reshape(len(guess), -1).sum(-1).mean()
    moments = moments_of(draw, root, noise_std, shots)
    if model.layers > DEEP and "w" in draw:
        return _loss_without_lost_prompts(model, moments, draw["w"], covariance)
    p = final_implied_weights(model, jnp.moveaxis(moments, 0, -1)).T
    if "w" in draw:
        return quadratic_loss(p, draw["w"], covariance).mean()
    return (((p * draw["x_query"]).sum(-1) - draw["y_query"]) ** 2).mean()


def _loss_without_lost_prompts(model: Model, moments: Any, w: Any, covariance: Any) -> Any:
    """Mean of (p - w)ᵀ Λ (p - w) over the prompts for which it is below LOST; NaN if there are none.

    p is of degree (3^L - 1) / 2 in S, so that in a deep model one prompt can overflow float32. It would take the whole
    batch with it, and a model that loses a prompt in every batch would never take another step.
    """

    def losses(model: Model, moments: Any) -> Any:
        return quadratic_loss(final_implied_weights(model, jnp.moveaxis(moments, 0, -1)).T, w, covariance)

    kept = losses(jax.lax.stop_gradient(model), moments) < OVERFLOW_LOSS  # NaN is not below it
    # Taken out before the second pass: masked afterwards, an infinite loss would still have a gradient of NaN.
    finite = losses(model, jnp.where(kept[:, None, None], moments, 0.0))
    return jnp.where(kept, finite, 0.0).sum() / kept.sum()


@partial(jax.jit, static_argnames="copies")
def run_chunk(models: Model, state: Any, draws: Draw, data: tuple, schedule: tuple, copies: int = 1) -> tuple:
    """A chunk of steps of every seed, losses (seeds, length); settings are traced: only shapes and kinds recompile.

    `copies` says how often the layers are applied one after the other: L if they are tied, else 1.
    """
    update = clipped_adam(*schedule).update

    def member(model: Any, state: Any, draw: Draw) -> tuple:
        loss, gradient = jax.value_and_grad(batch_loss)(model, draw, data, copies)
        # A batch that overflows is left out instead of turning the member into NaN for good; its loss still shows it.
        finite = jnp.isfinite(sum((g**2).sum() for g in jax.tree.leaves(gradient)))
        gradient = jax.tree.map(lambda g: jnp.where(finite, g, 0.0), gradient)
        change, state = update(gradient, state)
        return optax.apply_updates(model, change), state, loss

    def run(start: tuple) -> tuple:
        model, state, draws = start

        def step(carry: tuple, draw: Draw) -> tuple:
            model, state, loss = member(carry[0], carry[1], draw)
            return (model, state), loss

        (model, state), losses = jax.lax.scan(step, (model, state), draws)
        return model, state, losses

    # One seed after the other on a processor: what one of them works on stays in the cache, and XLA's plain products
    # are faster than its batched ones. An accelerator would rather have all of them at once.
    everyone = None if jax.default_backend() == "cpu" else len(models.value)
    return jax.lax.map(run, (models, state, draws), batch_size=everyone)
