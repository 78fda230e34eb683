"""The training run: an ensemble trained into a run directory, from which it can go on after any interruption.

Importing this file is quick: nothing heavy is loaded before `run`.
"""

import io
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table

    from icl_theory.ensemble import TrainConfig
    from icl_theory.tasks import LinearRegression
    from icl_theory.training import ChunkRecord, TrainResult

FORMAT = 1
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainRunConfig:
    """What determines a training run, in plain numbers and strings."""

    dim: int = 5
    """Input dimension d; tokens have d + 1 entries."""
    layers: int = 1
    """Number of layers L."""
    shots: int = 20
    """N, the demonstrations of a prompt."""
    noise_std: float = 0.0
    """Standard deviation of the label noise of demonstrations."""
    steps: int = 1000
    """Optimiser steps."""
    seeds: int = 8
    """Models of the ensemble, each with its own initial weights and data."""
    batch: int = 64
    """Prompts per step and model."""
    learning_rate: float = 0.02
    """Adam's step size at the start; it falls to 0 along half a cosine."""
    init_scale: float = 0.2
    """Size of the initial weights."""
    clip_norm: float = 1.0
    """Largest norm of a gradient."""
    readout: Literal["minus", "plus"] = "minus"
    """Sign with which the prediction is read from the query's label slot."""
    stop_excess: float | None = None
    """Stop once the exact risk of every model is within this share of the optimum, 0.01 being 1 %; one layer only."""
    checkpoint_every: int = 1
    """Chunks of steps between two checkpoints; a run has at least ten chunks."""
    seed: int = 0
    """Seed of everything random."""


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
    Raises: ValueError for anything out of range. Warns: `CheckpointWarning`, see `train`.
    """
    from icl_theory.checkpoint import Checkpoints
    from icl_theory.report.records import environment, plain, write_json
    from icl_theory.report.run_directory import metrics_file
    from icl_theory.training import train

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
    return plain(document)


def validate(config: TrainRunConfig) -> tuple["LinearRegression", "TrainConfig", float]:
    """Task, settings and the one-layer optimum of a run, before anything is trained. Raises: ValueError."""
    from icl_theory import _checks
    from icl_theory.constructions import one_layer_optimum
    from icl_theory.ensemble import TrainConfig, checked_config
    from icl_theory.tasks import LinearRegression
    from icl_theory.training import known_optimum

    _checks.integer("seed", config.seed, 0, 2**31 - 1, "pass a whole number")
    _checks.integer("checkpoint_every", config.checkpoint_every, 1, None, "save after every chunk")
    task = LinearRegression(config.dim, noise_std=config.noise_std)
    settings = checked_config(TrainConfig(**{field.name: getattr(config, field.name) for field in fields(TrainConfig)}))
    known_optimum(task, settings)  # refuses a stop_excess that nothing could be compared with
    return task, settings, one_layer_optimum(task, shots=config.shots)[1]


def own_fields(config: TrainRunConfig) -> dict[str, Any]:
    """The configuration without the options of the command."""
    return {field.name: getattr(config, field.name) for field in fields(TrainRunConfig)}


def _line(record: "ChunkRecord") -> dict[str, Any]:
    """One line of metrics.jsonl; squared label units, excess relative to the optimum."""
    loss = math.fsum(record.losses) / len(record.losses)
    line = {"step": record.step, "loss": loss, "losses": record.losses, "optimum": record.optimum}
    return line if record.excess is None else line | {"excess": record.excess}


def _status(record: "ChunkRecord", reference: float) -> str:
    """Loss, optimum and the largest excess for the progress display."""
    text = f"loss {math.fsum(record.losses) / len(record.losses):.4g}, "
    if record.excess is None:
        return text + f"one-layer optimum {reference:.4g}"
    return text + f"optimum {record.optimum:.4g}, largest excess {max(record.excess):.2%}"


def _write_result(out: Path, result: "TrainResult", reference: float) -> None:
    """The loss curve, then the weights: their file says that the run has ended."""
    import numpy as np

    from icl_theory.loss_figure import loss_curve
    from icl_theory.report.records import write_bytes

    loss_curve(result.losses, out / "loss", optimum=reference, layers=result.config.layers)
    weights, buffer = result.weights, io.BytesIO()
    matrices = {"value": weights.value, "key": weights.key, "query": weights.query}
    np.savez(buffer, **matrices, losses=result.losses, diverged=result.diverged)
    write_bytes(out / "weights.npz", buffer.getvalue())


def _outcome(task: "LinearRegression", result: "TrainResult", reference: float) -> dict[str, Any]:
    """Steps done, the optimum, and by seed the population risk (None if diverged) and, for one layer, its excess."""
    import numpy as np

    from icl_theory.risk import population_risk

    config, options = result.config, {"shots": result.config.shots, "readout": result.config.readout}
    risks = [
        None if result.diverged[s] else population_risk(result.weights.member(s), task, key=s, **options)
        for s in range(config.seeds)
    ]
    excess = [None if risk is None else risk.value / reference - 1 for risk in risks] if config.layers == 1 else None
    return {
        "steps_done": result.losses.shape[1],
        "one_layer_optimum": reference,
        "population_risk": risks,
        "excess": excess,
        "diverged": np.flatnonzero(result.diverged).tolist(),
    }


def table(document: dict[str, Any]) -> "Table":
    """Risk of every model beside the one-layer optimum."""
    from rich import box
    from rich.table import Table

    from icl_theory.report.records import number

    title = f"one-layer optimum {number(document['one_layer_optimum']):.4g}, {document['steps_done']} steps"
    result = Table("seed", "population risk", "over the one-layer optimum", box=box.SIMPLE, title=title)
    for seed, risk in enumerate(document["population_risk"]):
        if risk is None:
            result.add_row(str(seed), "diverged", "")
            continue
        value, error = number(risk["value"]), number(risk["stderr"])
        share = value / number(document["one_layer_optimum"]) - 1
        result.add_row(str(seed), f"{value:.5g}" + (f" +- {error:.1g}" if error else " exact"), f"{share:+.2%}")
    return result
