"""The search run: Algorithm 1 on every model, several times, on prompts of its own each time.

Importing this file is quick: nothing heavy is loaded before `run`.
"""

import time
from pathlib import Path
from typing import Any

from icl_theory.core.progress import Progress
from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.runs.made_models import kept_weights, of_these_weights, own_settings, prepare_run
from icl_theory.runs.model_config import resolved
from icl_theory.runs.search_config import SearchConfig, validate
from icl_theory.runs.train_config import make_task

FORMAT = 1


def run(
    config: SearchConfig, progress: Progress | None = None, *, out: Path | None = None, resume: bool = False
) -> dict[str, Any]:
    """The document of a run: format, environment, configuration, diverged members, searches, their summary, seconds.

    Args:
        config: see `SearchConfig`.
        progress: called with (what, done, total).
        out: directory for `weights.npz` and for `entries.jsonl`, the searches finished so far; None keeps nothing.
        resume: go on with the weights and the searches in `out`; what is missing is made.

    Returns: a plain dictionary, ready for `write_json`; a resumed run gives the numbers of an uninterrupted one.
    Raises: ValueError for anything out of range, before training, and for a resume under other settings.
    """
    import numpy as np

    from icl_theory.records.documents import to_plain
    from icl_theory.records.environment import environment
    from icl_theory.records.journal import SearchJournal
    from icl_theory.records.search_records import search_entry, search_summary
    from icl_theory.truncation.clipping_search import search_clipping_rate

    started = time.perf_counter()
    config = resolved(config)
    validate(config)
    notify = progress or (lambda _text, _done, _total: None)
    task, own = make_task(config), own_settings(config, SearchConfig)
    journal = None if out is None else SearchJournal(out / "entries.jsonl", own, resume=resume)
    model, diverged = kept_weights(config, task, notify, out, resume)
    weights, members = fingerprint_of(model), 1 if model.seeds is None else model.seeds
    finished = [of_these_weights(entry, weights) for entry in journal.finished] if journal else []
    known = {(entry["seed"], entry["search"]): entry for entry in finished}
    keys = np.random.default_rng([config.seed, 7]).integers(2**62, size=config.searches)
    entries: list[dict[str, Any]] = []
    for seed in range(members):
        member = model if model.seeds is None else model.member(seed)
        for search, key in enumerate(keys):
            if (seed, search) not in known:
                found = search_clipping_rate(
                    member,
                    task,
                    shots=config.shots,
                    module=config.module,
                    rates=config.rates or None,
                    top=config.top,
                    prompts=config.prompts,
                    key=int(key),
                    loss=config.loss,
                )
                known[seed, search] = search_entry(found, {"seed": seed, "search": search})
                if journal is not None:
                    journal.add(known[seed, search] | {"weights": weights})
            entries.append(known[seed, search])
            notify("searches", len(entries), members * config.searches)
    document = {
        "format": FORMAT,
        "environment": environment(),
        "configuration": own,
        "diverged": diverged,
        "searches": entries,
        "summary": search_summary(entries),
        "seconds": time.perf_counter() - started,
    }
    return to_plain(document)


def prepare(config: SearchConfig, out: str | Path, *, overwrite: bool, resume: bool) -> Path:
    """The directory of a search, see `prepare_run`."""
    from icl_theory.records.journal import SearchJournal

    return prepare_run(config, SearchConfig, out, SearchJournal, overwrite=overwrite, resume=resume)


def write_results(document: dict[str, Any], out: Path) -> None:
    """The figure, `records.csv` and, last, `records.json`, which says that the rest is there."""
    from icl_theory.figures.search import search_gains
    from icl_theory.figures.style import save_figure
    from icl_theory.records.files import write_bytes, write_json
    from icl_theory.records.search_records import search_csv

    figure = search_gains(document["searches"])
    for ending in ("pdf", "png"):
        save_figure(figure, out / f"search_gains.{ending}")
    write_bytes(out / "records.csv", search_csv(document["searches"]).encode("utf-8"))
    write_json(out / "records.json", document)
