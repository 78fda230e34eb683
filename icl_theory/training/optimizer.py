"""Adam with a step size that falls to 0 and a gradient clipped to its recent norms, for ensembles of seeds."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from icl_theory.models.model import Model

CLIP_FACTOR, CLIP_MEMORY = 16.0, 0.95
"""A gradient may be so many times as long as those of the last twenty steps or so."""


class RunningNorm(NamedTuple):
    """State of `clip_to_running_norm`."""

    norm: Any
    """Exponential mean of the clipped norms so far, one number."""


def clip_to_running_norm(limit: Any) -> Any:
    """Scale a gradient down to min(limit, CLIP_FACTOR times the recent mean norm), if it is longer.

    Losses of deep models have heavy tails: of a model whose gradients have come down to 0.01, one prompt in a thousand
    still gives one of any size. Clipped at 1 it would fill Adam's momentum for many steps and throw the model into a
    region where every batch overflows.
    """

    def update(gradient: Any, state: RunningNorm, params: Any = None) -> tuple:
        del params
        norm = jnp.sqrt(sum((g**2).sum() for g in jax.tree.leaves(gradient)))
        longest = jnp.minimum(limit, CLIP_FACTOR * state.norm)
        scale = jnp.where(norm > longest, longest / jnp.where(norm > 0, norm, 1.0), 1.0)
        after = CLIP_MEMORY * state.norm + (1 - CLIP_MEMORY) * jnp.minimum(norm, longest)
        return jax.tree.map(lambda g: g * scale, gradient), RunningNorm(after)

    return optax.GradientTransformation(
        lambda params: RunningNorm(jnp.float32(1)),
        update,  # pyright: ignore[reportArgumentType]  (optax types its arguments loosely)
    )


def clipped_adam(steps: Any, learning_rate: Any, clip_norm: Any) -> Any:
    """Clipped Adam whose step size falls to 0 along half a cosine; the arguments may be traced.

    `optax.cosine_decay_schedule` is the same curve, but it wants the number of steps at compile time.
    """

    def schedule(count: Any) -> Any:
        return 0.5 * learning_rate * (1 + jnp.cos(jnp.pi * jnp.minimum(count / steps, 1.0)))

    return optax.chain(clip_to_running_norm(clip_norm), optax.scale_by_adam(), optax.scale_by_learning_rate(schedule))


def initial_optimizer(weights: Model) -> Any:
    """The optimiser's state for every seed, what `clipped_adam(...).init` gives under vmap, without tracing it."""
    seeds = weights.value.shape[0]
    count: Any = np.zeros(seeds, np.int32)
    first, second = (jax.tree.map(np.zeros_like, weights) for _ in range(2))
    adam = optax.ScaleByAdamState(count=count, mu=first, nu=second)  # pyright: ignore[reportArgumentType]
    return RunningNorm(np.ones(seeds, np.float32)), adam, optax.ScaleByScheduleState(count=count)
