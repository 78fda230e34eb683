"""The bound-versus-rank run: a model is trained or constructed, swept over ranks and recorded.

Importing this file is quick: nothing heavy is loaded before `run`.
"""

import time
from pathlib import Path
from typing import Any

from icl_theory.core.progress import Progress
from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.runs.bounds_config import SweepConfig, validate
from icl_theory.runs.made_models import kept_weights, of_these_weights, own_settings, prepare_run
from icl_theory.runs.model_config import resolved
from icl_theory.runs.train_config import make_task

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
    task, own = make_task(config), own_settings(config, SweepConfig)
    journal = None if out is None else SweepJournal(out / "entries.jsonl", own, resume=resume)
    model, diverged = kept_weights(config, task, notify, out, resume)
    weights = fingerprint_of(model)
    finished = [of_these_weights(entry, weights) for entry in journal.finished] if journal else ()
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
    """The directory of a sweep, see `prepare_run`."""
    from icl_theory.records.journal import SweepJournal

    return prepare_run(config, SweepConfig, out, SweepJournal, overwrite=overwrite, resume=resume)
