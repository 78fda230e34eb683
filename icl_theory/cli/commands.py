"""What each command does. Whatever it needs is imported where it runs, so that --help answers at once."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_theory.cli.experiment_commands import figures, grid
from icl_theory.cli.options import Bounds, Cache, Explain, Figures, GridRun, Lesson, Recheck, Search, Train, Verify

if TYPE_CHECKING:
    from icl_theory.claims.outside import OutsideClaim


def run(command: Any) -> int:
    """Run a command that has been read. Returns: the exit status."""
    return COMMANDS[type(command)](command)


def verify(command: Verify) -> int:
    from icl_theory.claims.registry import all_labels, require_known
    from icl_theory.core import checks
    from icl_theory.records.compare import read_run
    from icl_theory.records.files import prepare_directory
    from icl_theory.runs.verify_config import require_usual_sweep, settings_of, written_settings

    given = _claims_from(command.from_file)
    own = [claim.claim.label for claim in given]
    require_known(command.claims or (() if given else all_labels()), own)  # before anything heavy is loaded
    checks.integer("seed", command.seed, 0, 2**31 - 1, "pass a whole number")
    baseline = None if command.baseline is None else read_run(command.baseline)
    settings, notes = settings_of(command)
    require_usual_sweep(command.sweep, settings)
    out = None if command.out is None else prepare_directory(command.out, command.overwrite)
    from icl_theory.report.terminal import console
    from icl_theory.report.terminal import verify as said

    console.start()
    from icl_theory.runs.verify import run, write

    named = [label for label in command.claims if label not in own]
    chosen = [*named, *(claim for claim in given if not command.claims or claim.claim.label in command.claims)]
    sweep = command.sweep or (not chosen and out is not None and settings.usual)
    for line in notes:
        console.log(f"read {line}")
    with console.LiveProgress() as progress:
        report = run(
            chosen or None,
            command.profile,
            command.seed,
            sweep=sweep,
            cache=not command.no_cache,
            settings=settings,
            options=written_settings(command),
            progress=progress,
            baseline=baseline,
        )
    # Shown before the files are written: a disk that is full must not cost the result of minutes.
    said.show(report.records, report.changes, as_json=command.json, whole=command.table)
    if out is not None:
        write(report, out)
    said.log_notes(report.records, command.out)
    return 0 if report.sound else 1


def _claims_from(files: tuple[str, ...]) -> "list[OutsideClaim]":
    """The claims of Python files, each under a label of its own."""
    from icl_theory.claims.outside import claims_from_file
    from icl_theory.core import checks

    found: list[OutsideClaim] = []
    for path in dict.fromkeys(files):
        for claim in claims_from_file(path):
            other = next((c.package for c in found if c.claim.label == claim.claim.label), None)
            if other is not None:
                got = f"{claim.claim.label!r} in {other} and in {claim.package}"
                raise checks.error("from", got, "labels that differ", "rename one of the claims")
            found.append(claim)
    return found


def train(command: Train) -> int:
    from icl_theory.records.documents import to_json
    from icl_theory.report.terminal import console, training_table
    from icl_theory.runs import directory, train

    train.validate(command)
    settings = train.own_fields(command)
    out = directory.prepare(settings, command.out, overwrite=command.overwrite, resume=command.resume)
    console.start()
    with console.LiveProgress() as progress, console.log_warnings():
        goes_on = command.resume and out is not None and directory.can_go_on(out)
        document = train.run(command, out, resume=goes_on, progress=progress)
    if out is not None:
        console.log(f"configuration, metrics, checkpoints, loss curve and weights are in {command.out}")
    if command.json:
        sys.stdout.write(to_json(document))
    else:
        console.show(training_table.table(document))
    if document["diverged"]:
        console.log(f"not sound: training diverged for seeds {document['diverged']}")
    return 1 if document["diverged"] else 0


def bounds(command: Bounds) -> int:
    from icl_theory.records.documents import to_json
    from icl_theory.report.terminal import console, plain_text, sweep_tables
    from icl_theory.runs import bounds, bounds_config, model_config

    bounds_config.validate(model_config.resolved(command))
    document, out = _run_on_models(command, bounds)
    # Shown before the files are written, as in `verify`.
    if command.json:
        sys.stdout.write(to_json(document))
    else:
        records = document if console.shows_greek() else plain_text.ascii_records(document)
        forward = sweep_tables.forward_pass_table(records["sweep"])
        table = sweep_tables.sweep_table(records["sweep"], console.output().width)
        shown = [table, "", *([forward, ""] if forward else [])]
        console.show(*shown, *sweep_tables.rung_notes(records["sweep"]))
    if out is not None:
        bounds.write_results(document, out)
        console.log(f"records and figures are in {command.out}")
    risks = [record[name]["value"] for record in document["sweep"] for name in ("gap", "population_risk")]
    return _status_on_models(document, risks, "a gap or a risk")


def search(command: Search) -> int:
    from icl_theory.records.documents import to_json
    from icl_theory.report.terminal import console, search_table
    from icl_theory.runs import model_config, search, search_config

    search_config.validate(model_config.resolved(command))
    document, out = _run_on_models(command, search)
    # Shown before the files are written, as in `verify`.
    if command.json:
        sys.stdout.write(to_json(document))
    else:
        console.show(search_table.search_table(document["searches"]), "", *search_table.search_notes(document))
    if out is not None:
        search.write_results(document, out)
        console.log(f"records and figure are in {command.out}")
    return _status_on_models(document, [entry["test_loss"]["value"] for entry in document["searches"]], "a loss")


def _run_on_models(command: Bounds | Search, runs: Any) -> tuple[dict[str, Any], Path | None]:
    """The document of a run on models that are made or read, with progress, and its directory if it has one."""
    from icl_theory.core import checks
    from icl_theory.report.terminal import console
    from icl_theory.runs import model_config

    if command.resume and command.out is None:
        raise checks.error("resume", "no directory", "the directory of an earlier run", "name it with --out")
    out = None
    if command.out is not None:
        out = runs.prepare(command, command.out, overwrite=command.overwrite, resume=command.resume)
    console.start()
    for line in model_config.notes(command):
        console.log(f"read {line}")
    with console.LiveProgress() as progress:
        return runs.run(command, progress, out=out, resume=command.resume), out


def _status_on_models(document: dict[str, Any], numbers: list[Any], words: str) -> int:
    """The exit status of a run on models, and why it is not 0: training diverged, or a number is not finite."""
    from icl_theory.records.documents import from_plain
    from icl_theory.report.terminal import console

    if document["diverged"]:
        console.log(f"not sound: training diverged for seeds {document['diverged']}, which are left out")
    finite = all(map(math.isfinite, map(from_plain, numbers)))
    if not finite:
        console.log(f"not sound: {words} is not finite")
    return 0 if finite and not document["diverged"] else 1


def explain(command: Explain) -> int:
    from icl_theory.claims.registry import all_labels, load, require_known
    from icl_theory.records.documents import to_json
    from icl_theory.report.terminal.explain import explain_record, explain_text, listing, matching

    given = {found.claim.label: found for found in _claims_from(command.from_file)}
    if command.claim is None:
        chosen = matching((*all_labels(), *given), given, command.grep)
        text = to_json({"claims": [label for label, _ in chosen]}) if command.json else listing(chosen, given)
        sys.stdout.write(text)
        return 0
    if command.grep is not None:
        from icl_theory.core import checks

        raise checks.error("grep", f"also the label {command.claim!r}", "one of the two", "drop one of them")
    require_known([command.claim], given)
    claim = given[command.claim].claim if command.claim in given else load(command.claim)
    text = to_json(explain_record(claim)) if command.json else explain_text(claim) + "\n"
    sys.stdout.write(text)
    return 0


def recheck(command: Recheck) -> int:
    from icl_theory.records.documents import to_json, to_plain
    from icl_theory.records.files import read_json

    document = read_json(command.file)
    given = [found.claim for found in _claims_from(command.from_file)]
    from icl_theory.claims.recheck import recheck

    found = recheck(document, given)
    sys.stdout.write(to_json(to_plain(found)) if command.json else f"{found}\n")
    return 0 if found.confirmed else 1


def lesson(command: Lesson) -> int:
    from icl_theory.core import checks
    from icl_theory.lessons.files import lessons, write_lesson, write_page
    from icl_theory.records.documents import to_json
    from icl_theory.report.terminal import console

    if command.name is None or command.out is None:
        if command.name is not None or command.out is not None or command.open:
            got = "no number" if command.name is None else "no file"
            expected = "both the number of a lesson and a file"
            raise checks.error("lesson", got, expected, "for instance `icl-theory lesson 1 --out first.html`")
        listed = [{"number": found.number, "title": found.title} for found in lessons()]
        lines = [f"{found['number']}  {found['title']}\n" for found in listed] + ["page  the interactive page\n"]
        sys.stdout.write(to_json({"lessons": listed}) if command.json else "".join(lines))
        return 0
    if command.name == "page":
        path = write_page(command.out)
    elif command.name.isdecimal():
        path = write_lesson(int(command.name), command.out)
    else:
        raise checks.error("lesson", repr(command.name), "the number of a lesson, or page", "see `icl-theory lesson`")
    sys.stdout.write(to_json({"file": command.out}) if command.json else f"{command.out}\n")
    if command.open:
        import webbrowser

        if not webbrowser.open(path.absolute().as_uri()):
            console.log(f"no program was found to open {command.out}")
    return 0


def cache(command: Cache) -> int:
    from icl_theory.records.documents import to_json
    from icl_theory.runs import cache as kept

    found = kept.clear() if command.clear else kept.contents()
    sys.stdout.write(to_json(found) if command.json else kept.words(found))
    return 0


COMMANDS: dict[type, Callable[[Any], int]] = {
    Verify: verify,
    Train: train,
    Bounds: bounds,
    Search: search,
    GridRun: grid,
    Figures: figures,
    Lesson: lesson,
    Explain: explain,
    Recheck: recheck,
    Cache: cache,
}
"""What has been read, and what runs it."""
