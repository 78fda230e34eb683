"""The ladder on average over tasks: one random task is no guide to another, so the spread stands beside the mean."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key, generator
from icl_theory.core.results import Result
from icl_theory.information.ladder.bound_ladder import BoundLadder, bound_ladder
from icl_theory.information.ladder.losses import BoundedLoss
from icl_theory.models.model import Model
from icl_theory.tasks.base import Task


@fields_in_help
@dataclass(frozen=True, repr=False)
class TaskAverage(Result):
    """Bounds, gap and losses averaged over task vectors w, with their spread.

    E_w gap(w) ≤ E_w bound(w), since it holds for every w. Standard errors come from the scatter over tasks, which
    contains that of the runs of each.

    Example:
        >>> from icl_theory import LinearRegression, average_ladder, random_weights
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> found = average_ladder(model, task, tasks=4, demonstrations=40, shots=10, clip=4.0, samples=64)
        >>> found.gap.samples, len(found.ladders)
        (4, 4)
    """

    rungs: dict[str, Estimate]
    """Mean bound on the gap by rung, in units of the loss."""
    kl_rungs: dict[str, Estimate]
    """The same in the binary relative entropy form."""
    gap: Estimate
    """Mean gap."""
    population_loss: Estimate
    """Mean loss on fresh tokens of the task."""
    spread: dict[str, float]
    """Standard deviation over tasks of every rung, of "gap" and of "population_loss", in units of the loss."""
    tightness: dict[str, float]
    """Mean bound over mean gap by rung; +inf for an infinite bound or a gap that is not positive."""
    trivial: float
    """c, the range of the loss."""
    task_vectors: np.ndarray = field(repr=False)
    """w, shape (tasks, d_x), or rows of `task.sample_tasks`."""
    ladders: tuple[BoundLadder, ...] = field(repr=False)
    """One ladder for each task."""


def average_ladder(
    model: Model,
    task: Task,
    *,
    demonstrations: int,
    shots: int,
    clip: float,
    samples: int,
    tasks: int = 16,
    key: Key = 0,
    floor: float = 0.0,
    pairs: int | None = None,
    loss: BoundedLoss = "clipped_squared",
) -> TaskAverage:
    """`bound_ladder` for several task vectors drawn from the task's law, and the means.

    Args:
        model: as in `bound_ladder`.
        task: as in `bound_ladder`.
        demonstrations: N.
        shots: b with 1 ≤ b < N.
        clip: c > 0, in units of the squared label.
        samples: Monte Carlo runs for each task, at least 16.
        tasks: task vectors, at least 2. All models get the same ones, and the same draws, from the same key.
        key: a jax.random.key or a whole number.
        floor: as in `bound_ladder`.
        pairs: as in `bound_ladder`.
        loss: as in `bound_ladder`.

    Returns: `TaskAverage`, in units of the loss.
    Raises: ValueError as `bound_ladder`.
    Source: new; Y Section 3.1 (arXiv:2406.03768v2) states its bounds for one task distribution μ.

    Example:
        >>> from icl_theory import LinearRegression, average_ladder, random_weights
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> found = average_ladder(model, task, tasks=4, demonstrations=40, shots=10, clip=4.0, samples=64)
        >>> found.rungs["readout"].value < found.rungs["mutual_information"].value
        True
    """
    tasks = checks.integer("tasks", tasks, 2, None, "a spread needs two")
    rng = generator(key)
    vectors, seeds = task.sample_tasks(rng, tasks), rng.integers(2**31, size=tasks)
    options: dict[str, Any] = {"demonstrations": demonstrations, "shots": shots, "clip": clip, "samples": samples}
    options |= {"floor": floor, "pairs": pairs, "loss": loss}
    ladders = tuple(
        bound_ladder(model, task, task_vector=w, key=int(seed), **options)
        for w, seed in zip(vectors, seeds, strict=True)
    )
    rungs, kl_rungs = (
        {name: _mean(ladders, kind, name) for name in ladders[0].rungs} for kind in ("rungs", "kl_rungs")
    )
    gaps = np.array([ladder.gap.value for ladder in ladders])
    losses = np.array([ladder.population_loss.value for ladder in ladders])
    spread = {name: _deviation([ladder.rungs[name].value for ladder in ladders]) for name in rungs}
    gap = Estimate.from_samples(gaps, "unbiased", "loss")
    return TaskAverage(
        rungs=rungs,
        kl_rungs=kl_rungs,
        gap=gap,
        population_loss=Estimate.from_samples(losses, "unbiased", "loss"),
        spread=spread | {"gap": _deviation(gaps), "population_loss": _deviation(losses)},
        tightness={name: rung.value / gap.value if gap.value > 0 else np.inf for name, rung in rungs.items()},
        trivial=ladders[0].trivial,
        task_vectors=vectors,
        ladders=ladders,
    )


def _mean(ladders: tuple[BoundLadder, ...], kind: str, name: str) -> Estimate:
    found = [getattr(ladder, kind)[name] for ladder in ladders]
    values = np.array([estimate.value for estimate in found])
    if not np.isfinite(values).all():
        return next(estimate for estimate in found if not np.isfinite(estimate.value))
    return Estimate.from_samples(values, "upper", "loss", found[0].note)


def _deviation(values: Any) -> float:
    values = np.asarray(values)
    return float(values.std(ddof=1)) if np.isfinite(values).all() else np.inf
