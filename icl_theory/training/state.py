"""A training run between two chunks: its state, how a checkpoint holds it, and what identifies the run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import jax
import numpy as np

from icl_theory.tasks.base import Task
from icl_theory.training.checkpoints import Saved, fingerprint
from icl_theory.training.ensemble import TrainConfig, initial_weights
from icl_theory.training.optimizer import initial_optimizer


@dataclass
class State:
    """A run at a chunk border."""

    step: int
    models: Any
    optimizer: Any
    generator: Mapping[str, Any]
    losses: np.ndarray  # (steps, seeds), filled up to `step`
    excess: list[np.ndarray]  # one (seeds,) per chunk, if the optimum is known and someone asks


def first_state(task: Task, config: TrainConfig, rng: np.random.Generator) -> State:
    models = initial_weights(rng, config, task.token_dim, task.outputs)
    losses = np.full((config.steps, config.seeds), np.nan, np.float32)
    return State(0, models, initial_optimizer(models), rng.bit_generator.state, losses, [])


def setup(task: Task, config: TrainConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Everything that determines the run, as plain values; matrices and the key as fingerprints."""
    settings, own = asdict(config), {}
    for field in fields(task):  # pyright: ignore[reportArgumentType]  (every task is a dataclass)
        value = getattr(task, field.name)
        name = f"task.{field.name}" if field.name in settings else field.name  # a ReLU teacher is `hidden` wide too
        own[name] = fingerprint(value) if isinstance(value, np.ndarray) else value
    return settings | own | {"task": type(task).__name__, "key": fingerprint(rng.bit_generator.state)}


def versions() -> dict[str, str]:
    return {"jax": jax.__version__, "numpy": np.__version__, "device": jax.devices()[0].device_kind}


def saved(state: State) -> Saved:
    """The state as a checkpoint holds it."""
    leaves = jax.tree.leaves((state.models, state.optimizer))
    arrays = {f"leaf_{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    arrays["losses"] = state.losses[: state.step]
    if state.excess:
        arrays["excess"] = np.stack(state.excess)
    return Saved(state.step, arrays, state.generator)


def restored(saved: Saved, first: State) -> State:
    """The state that was saved, in the shape of the first one of the same run."""
    leaves, structure = jax.tree.flatten((first.models, first.optimizer))
    models, optimizer = structure.unflatten([saved.arrays[f"leaf_{i}"] for i in range(len(leaves))])
    first.losses[: saved.step] = saved.arrays["losses"]
    return State(saved.step, models, optimizer, saved.generator, first.losses, list(saved.arrays.get("excess", ())))
