"""The training run: an ensemble trained into a run directory, from which it can go on after any interruption.

Importing this file is quick: nothing heavy is loaded before `run`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_theory.core.progress import Progress
from icl_theory.runs.train_config import TrainRunConfig, make_task, written_out

if TYPE_CHECKING:
    from icl_theory.tasks.base import Task
    from icl_theory.training.config import CheckedConfig
    from icl_theory.training.train import ChunkRecord, TrainResult

FORMAT = 1


def run(
    config: TrainRunConfig, out: Path | None = None, *, resume: bool = False, progress: Progress | None = None
) -> dict[str, Any]:
    """Train, and leave config.json, metrics.jsonl, checkpoints, loss.pdf, loss.png and weights.npz in `out`.

    Args:
        config: see `TrainRunConfig`.
        out: a directory that `run_directory.prepare` has returned; None writes nothing.
        resume: go on from the newest whole checkpoint in `out`.
        progress: called with (what, done, total).

    Returns: a plain dictionary: configuration, optimum, risk and excess by seed, members that diverged, seconds.
    Raises: ValueError for anything out of range.
    Warns: `CheckpointWarning`, see `train`.
    """
    from icl_theory.records.documents import to_plain
    from icl_theory.records.environment import environment
    from icl_theory.records.files import write_json
    from icl_theory.runs.directory import metrics_file
    from icl_theory.training.checkpoints import Checkpoints
    from icl_theory.training.train import train

    started = time.perf_counter()
    task, settings, reference = validate(config)
    if out is not None and not resume:
        write_json(
            out / "config.json", {"format": FORMAT, "configuration": own_fields(config), "environment": environment()}
        )
    store = None
    if out is not None:
        store = Checkpoints(out / "checkpoints", every=config.checkpoint_every, resume=resume)
    with metrics_file(out) as write:

        def observe(record: "ChunkRecord") -> None:
            write(_line(record))
            if progress is not None:
                progress(_status(record, reference), record.step, record.steps)

        result = train(task, config.seed, **asdict(settings), checkpoints=store, observe=observe)
    if out is not None:
        _write_result(out, result, reference)
    document = {"format": FORMAT, "environment": environment(), "configuration": own_fields(config)}
    document |= _outcome(task, result, reference) | {"seconds": time.perf_counter() - started}
    return to_plain(document)


def validate(config: TrainRunConfig) -> tuple["Task", "CheckedConfig", float | None]:
    """Task, settings and the one-layer optimum of a run (None if it has no closed form), before anything is trained.

    Raises: ValueError.
    """
    from icl_theory.core import checks
    from icl_theory.models.constructions import one_layer_optimum
    from icl_theory.training.ensemble import checked_config
    from icl_theory.training.optimum import known_optimum

    checks.integer("seed", config.seed, 0, 2**31 - 1, "pass a whole number")
    checks.integer("checkpoint_every", config.checkpoint_every, 1, None, "save after every chunk")
    task = make_task(config)
    settings = checked_config(config)
    known_optimum(task, settings)  # raises for a stop_excess that nothing could be compared with
    reference = one_layer_optimum(task, shots=config.shots)[1] if task.knows_moments else None
    return task, settings, reference


def own_fields(config: TrainRunConfig) -> dict[str, Any]:
    """The configuration without the options of the command, the schedule written out."""
    from icl_theory.training.ensemble import schedule_for

    own = {field.name: getattr(config, field.name) for field in fields(TrainRunConfig)}
    own["steps"], own["learning_rate"] = schedule_for(config.layers, config.steps, config.learning_rate)
    return written_out(own)


def _line(record: "ChunkRecord") -> dict[str, Any]:
    """One line of metrics.jsonl; squared label units, excess relative to the optimum."""
    loss = math.fsum(record.losses) / len(record.losses)
    line = {"step": record.step, "loss": loss, "losses": record.losses, "optimum": record.optimum}
    return line if record.excess is None else line | {"excess": record.excess}


def _status(record: "ChunkRecord", reference: float | None) -> str:
    """Loss, optimum and the largest excess for the progress display."""
    text = f"loss {math.fsum(record.losses) / len(record.losses):.4g}"
    if record.excess is None:
        return text if reference is None else text + f", one-layer optimum {reference:.4g}"
    return text + f", optimum {record.optimum:.4g}, largest excess {max(record.excess):.2%}"


def _write_result(out: Path, result: "TrainResult", reference: float | None) -> None:
    """The loss curve, then the weights: their file says that the run has ended."""
    from icl_theory.figures.loss_curve import loss_curve
    from icl_theory.models.files import save_model

    loss_curve(result.losses, out / "loss", optimum=reference, layers=result.config.layers)
    save_model(out / "weights.npz", result.models, losses=result.losses, diverged=result.diverged)


def _outcome(task: "Task", result: "TrainResult", reference: float | None) -> dict[str, Any]:
    """Steps done, the optimum, and by seed population risk (None if diverged), excess, last losses, accuracy if any."""
    import numpy as np

    from icl_theory.risk.population import accuracy, population_risk

    config = result.config

    def each(measure: Callable[..., Any]) -> list[Any]:
        kept = [not lost for lost in result.diverged]
        return [
            measure(result.models.member(s), task, key=s, shots=config.shots) if kept[s] else None
            for s in range(len(kept))
        ]

    risks, known = each(population_risk), reference is not None and config.layers == 1
    excess = [None if risk is None else risk.value / reference - 1 for risk in risks] if known and reference else None
    outcome = {
        "steps_done": result.losses.shape[1],
        "one_layer_optimum": reference,
        "population_risk": risks,
        "excess": excess,
        "last_loss": result.losses[:, -math.ceil(result.losses.shape[1] / 10) :].mean(1, dtype=np.float64),
        "diverged": np.flatnonzero(result.diverged).tolist(),
    }
    return outcome | ({"accuracy": each(accuracy)} if task.classifies else {})
