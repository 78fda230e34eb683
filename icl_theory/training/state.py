"""A training run between two chunks: its state, how a checkpoint holds it, and what identifies the run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from icl_theory.core.fingerprints import fingerprint
from icl_theory.tasks.base import Task
from icl_theory.training.checkpoints import Saved
from icl_theory.training.config import CheckedConfig
from icl_theory.training.ensemble import initial_weights
from icl_theory.training.optimizer import initial_optimizer


@dataclass
class State:
    """A run at a chunk border."""

    step: int
    models: Any
    optimizer: Any
    generator: Mapping[str, Any]
    losses: np.ndarray  # (steps, seeds), filled up to `step`
    excess: list[np.ndarray]  # one (seeds,) per chunk, if the optimum is known and requested


def first_state(task: Task, config: CheckedConfig, rng: np.random.Generator) -> State:
    models = initial_weights(rng, config, task.token_dim, task.outputs)
    losses = np.full((config.steps, config.seeds), np.nan, np.float32)
    return State(0, models, initial_optimizer(models), rng.bit_generator.state, losses, [])


def setup(task: Task, config: CheckedConfig, rng: np.random.Generator) -> dict[str, Any]:
    """Everything that determines the run, as plain values; matrices and the key as fingerprints, laws by their numbers.

    Raises: ValueError for a task or law that cannot be written down, because its checkpoints would not identify it.
    """
    settings, own, described = asdict(config), {}, task.to_dict()
    kind = described.pop("type")
    for field, value in described.items():
        name = f"task.{field}" if field in settings else field  # a ReLU teacher is `hidden` wide too
        matrix = isinstance(getattr(task, field), np.ndarray)
        own[name] = fingerprint(getattr(task, field)) if matrix else _spelt(value)
    return settings | own | {"task": kind, "key": fingerprint(rng.bit_generator.state)}


def _spelt(value: Any) -> Any:
    """A law as one line of text, StudentT(dof=5.0); other values as they are."""
    if not isinstance(value, dict):
        return value
    numbers = ", ".join(f"{name}={item!r}" for name, item in value.items() if name != "type")
    return f"{value['type']}({numbers})"


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
