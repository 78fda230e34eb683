"""The bound-versus-rank run: a model is trained or constructed, swept over ranks and recorded.

Importing this file is quick: nothing heavy is loaded before `run`.
"""

import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_theory.core.progress import Progress
from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.runs.bounds_config import MADE, SweepConfig, validate
from icl_theory.runs.given_model import read, require_path, with_sizes_of
from icl_theory.runs.train_config import make_task, written_out

if TYPE_CHECKING:
    from icl_theory.models.model import Model
    from icl_theory.tasks.base import Task

FORMAT = 1


def run(
    config: SweepConfig, progress: Progress | None = None, *, out: Path | None = None, resume: bool = False
) -> dict[str, Any]:
    """The document of a run: format, environment, configuration, members that diverged, the sweep, seconds.

    Args:
        config: see `SweepConfig`.
        progress: called with (what, done, total).
        out: directory for `weights.npz` and for `entries.jsonl`, the entries finished so far; None keeps nothing.
        resume: go on with the weights and the entries in `out`; what is missing is made.

    Returns: a plain dictionary, ready for `write_json`; a resumed run gives the sweep of an uninterrupted one.
    Raises: ValueError for anything out of range, before training, and for a resume under other settings.
    """
    from icl_theory.records.documents import to_plain
    from icl_theory.records.environment import environment
    from icl_theory.records.journal import SweepJournal
    from icl_theory.truncation.rank_sweep import rank_sweep

    started = time.perf_counter()
    config = resolved(config)
    validate(config)
    notify = progress or (lambda _text, _done, _total: None)
    task, own = make_task(config), _own(config)
    journal = None if out is None else SweepJournal(out / "entries.jsonl", own, resume=resume)
    model, diverged = _kept_weights(config, task, notify, out, resume)
    weights = fingerprint_of(model)
    finished = [_of_these_weights(entry, weights) for entry in journal.finished] if journal else ()
    sweep = rank_sweep(
        model,
        task,
        demonstrations=config.demonstrations,
        shots=config.shots,
        clip=config.clip,
        samples=config.samples,
        tasks=config.tasks,
        key=config.seed,
        layer_indices=config.layer_indices or None,
        together=config.together,
        components=config.components,
        modules=config.modules,
        ranks=config.ranks or None,
        rates=config.rates or None,
        floor=config.floor,
        loss=config.loss,
        progress=notify,
        finished=finished,
        keep=(lambda entry: journal.add(entry | {"weights": weights})) if journal else None,
    )
    document = {
        "format": FORMAT,
        "environment": environment(),
        "configuration": own,
        "diverged": diverged,
        "sweep": sweep,
        "seconds": time.perf_counter() - started,
    }
    return to_plain(document)


def resolved(config: SweepConfig) -> SweepConfig:
    """The configuration with the sizes of the file that it names, if it names one.

    Raises: ValueError for a file that cannot be read, or sizes that are stated and are not its own.
    """
    if config.model in MADE:
        return config
    require_path(config, f"one of {', '.join(MADE)}, or the path of a file with weights")
    return with_sizes_of(config, read(config).model, ("dim", "layers", "heads", "hidden"))


def notes(config: SweepConfig) -> tuple[str, ...]:
    """What was read from the file of the configuration and how; nothing where there is none."""
    return () if config.model in MADE else read(config).notes


def _of_these_weights(entry: dict[str, Any], weights: str) -> dict[str, Any]:
    """A finished entry without the fingerprint. Raises: ValueError if it was computed for other weights."""
    from icl_theory.core import checks

    entry = dict(entry)
    if entry.pop("weights", weights) != weights:
        got = "finished entries of other weights than weights.npz holds"
        raise checks.error("resume", got, "entries and weights of one run", "start it again with --overwrite")
    return entry


def _own(config: SweepConfig) -> dict[str, Any]:
    """The configuration without the options of the command; with the fingerprint of the file that it names."""
    own = written_out({field.name: asdict(config)[field.name] for field in fields(SweepConfig)})
    return own if config.model in MADE else own | {"file": fingerprint_of(read(config).model)}


def _kept_weights(
    config: SweepConfig, task: "Task", notify: Progress, out: Path | None, resume: bool
) -> tuple["Model", list[int]]:
    """`_weights`, read back from `out` if an earlier part of the run has left them there, otherwise made and left."""
    import numpy as np

    from icl_theory.core import checks
    from icl_theory.models.files import load_model, save_model
    from icl_theory.records.files import DAMAGED, read_npz

    path = None if out is None else out / "weights.npz"
    if path is not None and resume and path.is_file():
        try:
            model = load_model(path)
            return model, read_npz(path)["diverged"].tolist()
        except (AttributeError, TypeError, *DAMAGED) as error:
            got = f"{str(path)!r}, which is damaged ({type(error).__name__})"
            raise checks.error("resume", got, "the weights of the sweep", "start it again with --overwrite") from error
    model, diverged = _weights(config, task, notify)
    if path is not None:
        save_model(path, model, diverged=np.array(diverged, dtype=np.int64))
    return model, diverged


def write_results(document: dict[str, Any], out: Path) -> None:
    """Figures, `records.csv` and, last, `records.json`, which says that the rest is there."""
    from icl_theory.figures.column import column_figures
    from icl_theory.figures.sweep import sweep_figures
    from icl_theory.records.files import write_bytes, write_json
    from icl_theory.records.sweep_csv import sweep_csv

    sweep_figures(document["sweep"], out)
    column_figures(document["sweep"], out)
    write_bytes(out / "records.csv", sweep_csv(document["sweep"]).encode("utf-8"))
    write_json(out / "records.json", document)


def prepare(config: SweepConfig, out: str | Path, *, overwrite: bool, resume: bool) -> Path:
    """The run directory: new, emptied of an earlier run's entries and weights, or as it was left.

    To resume where nothing has begun is to start. Raises: ValueError for a directory in use, for a resume of a run
    under other settings, or for both options at once.
    """
    from icl_theory.core import checks
    from icl_theory.records.files import prepare_directory
    from icl_theory.records.journal import SweepJournal

    if resume and overwrite:
        raise checks.error("resume", "also overwrite", "one of the two", "drop one of them")
    begun = resume and (Path(out) / "entries.jsonl").is_file()
    path = prepare_directory(out, overwrite or begun)
    if begun:
        SweepJournal(path / "entries.jsonl", _own(resolved(config)), resume=True)  # raises for other settings
    else:
        for name in ("entries.jsonl", "weights.npz"):
            (path / name).unlink(missing_ok=True)
    return path


def _weights(config: SweepConfig, task: "Task", notify: Progress) -> tuple["Model", list[int]]:
    """A model, or an ensemble with a leading seeds axis, and the seeds left out because training diverged."""
    import jax
    import numpy as np

    from icl_theory.models.constructions import gradient_descent_weights, one_layer_optimum, random_weights

    if config.model not in MADE:
        return read(config).model, []
    if config.model == "optimum":
        return one_layer_optimum(task, shots=config.shots)[0], []
    if config.model == "gradient-descent":
        step = config.shots / (config.shots + config.dim + 1 + config.noise_std**2)
        return gradient_descent_weights(config.dim, layers=config.layers, step_size=step), []
    if config.model == "trained":
        return _trained(config, task, notify)
    scale = 1.5 if config.layers == 1 else 0.8  # larger ones make deep trajectories explode
    numbers = np.random.default_rng(config.seed).integers(2**31, size=config.seeds)
    drawn = [random_weights(int(n), layers=config.layers, token_dim=task.token_dim, scale=scale) for n in numbers]
    return jax.tree.map(lambda *matrices: np.stack(matrices), *drawn), []


def _trained(config: SweepConfig, task: "Task", notify: Progress) -> tuple["Model", list[int]]:
    import jax
    import numpy as np

    from icl_theory.core import checks
    from icl_theory.training.train import train

    result = train(
        task,
        config.seed,
        layers=config.layers,
        heads=config.heads,
        hidden=config.hidden,
        shots=config.shots,
        steps=config.steps,
        seeds=config.seeds,
        progress=notify,
    )
    if result.diverged.all():
        raise checks.error("training", "no member that converged", "at least one", "use fewer layers or steps")
    return jax.tree.map(lambda a: a[~result.diverged], result.models), np.flatnonzero(result.diverged).tolist()
