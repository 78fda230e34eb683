"""The command `icl-theory`: verify, train, bounds, explain, recheck.

Exit status: 0 the run is sound (a printed statement found false is a finding, not a failure); 1 something was
inconclusive or not finite, a control slipped through or a derivation failed; 2 bad input or a package of claims that
cannot be used, with one line that says what was got, what was expected and the cure; 130 interrupted. With --json,
standard output holds one JSON document.

Only what is needed to read the command line is imported here, so that --help answers at once.
"""

import contextlib
import io
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from icl_theory import __version__
from icl_theory.report.bounds_config import SweepConfig
from icl_theory.report.train_config import TrainRunConfig

PROGRAM = "icl-theory"
DESCRIPTION = (
    "Check the theory of in-context learning on transformers trained during the run. "
    "Exit status: 0 sound, 1 inconclusive or a control slipped through, 2 bad input. --version prints the version."
)
Json = Annotated[bool, tyro.conf.arg(help="One JSON document on standard output, everything else on standard error.")]
Out = Annotated[str | None, tyro.conf.arg(metavar="DIR", help="Directory for records and figure; nothing if left out.")]
Overwrite = Annotated[bool, tyro.conf.arg(help="Replace the files of an earlier run in that directory.")]


@dataclass(frozen=True)
class Verify:
    """Check which statements hold, fail or are vacuous, each with its negative controls."""

    claims: Annotated[tuple[str, ...], tyro.conf.arg(metavar="LABEL ...")] = ()
    """Claims to check, by label; all if none is named. `icl-theory explain` lists them."""
    profile: Literal["quick", "full"] = "quick"
    """How many seeds and samples, and how long to train: about a minute, or much longer."""
    seed: int = 0
    """Seed of everything random; the same seed gives the same cases."""
    compare: Annotated[str | None, tyro.conf.arg(metavar="FILE")] = None
    """records.json of an earlier run: say what has changed, on the page too. The exit status does not change."""
    out: Out = None
    overwrite: Overwrite = False
    json: Json = False


@dataclass(frozen=True)
class Train(TrainRunConfig):
    """Train an ensemble of transformers in context, with checkpoints, and compare it with the exact optimum."""

    out: Out = None
    overwrite: Overwrite = False
    resume: Annotated[bool, tyro.conf.arg(help="Go on from the last checkpoint in that directory.")] = False
    json: Json = False


@dataclass(frozen=True)
class Bounds(SweepConfig):
    """Bounds on the generalization gap against the rank kept, for a trained or constructed model."""

    out: Out = None
    overwrite: Overwrite = False
    resume: Annotated[bool, tyro.conf.arg(help="Go on with an interrupted sweep in that directory.")] = False
    json: Json = False


@dataclass(frozen=True)
class Explain:
    """Say what a claim states, what is checked and why it may fail; without a label, list all claims."""

    claim: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="LABEL")] = None
    """Label of a claim."""
    json: Json = False


@dataclass(frozen=True)
class Recheck:
    """Verify a counterexample from its file alone. Exit status 1 if it does not break the statement after all."""

    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """A file from the counterexamples folder that `verify --out` wrote."""
    json: Json = False


Command = (
    Annotated[Verify, tyro.conf.subcommand("verify")]
    | Annotated[Train, tyro.conf.subcommand("train")]
    | Annotated[Bounds, tyro.conf.subcommand("bounds")]
    | Annotated[Explain, tyro.conf.subcommand("explain")]
    | Annotated[Recheck, tyro.conf.subcommand("recheck")]
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns: the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if "--version" in arguments[:1]:
        print(f"{PROGRAM} {__version__}")
        return 0
    try:
        command = _parse(arguments)
        if command is None:
            return 0
        status = {Verify: _verify, Train: _train, Bounds: _bounds, Explain: _explain, Recheck: _recheck}[type(command)](
            command
        )
        sys.stdout.flush()
        return status
    except ValueError as error:
        print(f"{PROGRAM}: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\n{PROGRAM}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of standard output has gone (a pager, `head`): say nothing, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _parse(arguments: list[str]) -> Any:
    """The command, or None if help was asked for and has been printed. Raises: ValueError with tyro's message."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(
                Command,  # pyright: ignore[reportArgumentType]  (a union of annotated types is what tyro wants)
                prog=PROGRAM,
                description=DESCRIPTION,
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if not stop.code:
            return None
        raise ValueError(_one_line(said.getvalue())) from None


def _one_line(message: str) -> str:
    """tyro's boxed message as one line: the statement above its first rule, a suggestion, and where help is."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", message)
    lines = [line.strip(" │|") for line in plain.splitlines()]
    inside = [line for line in lines if line and line[0] not in "╭╰+"]
    rules = [i for i, line in enumerate(inside) if set(line) <= set("─-")]
    first = " ".join(inside[: rules[0]] if rules else inside)
    rest = " ".join(inside[rules[0] :] if rules else [])
    near = re.search(r"Perhaps you meant:\s*(--[\w-]+)", rest)
    place = re.search(r"(?:see|run) (icl-theory[\w -]*--help)", rest)
    cure = (f"; did you mean {near[1]}" if near else "") + (f"; see {place[1]}" if place else "")
    return first.rstrip(".") + cure


def _verify(command: Verify) -> int:
    from icl_theory import _checks
    from icl_theory.claims import all_labels, require_known
    from icl_theory.report.compare import read_run
    from icl_theory.report.records import prepare_directory

    require_known(command.claims or all_labels())  # before anything heavy is loaded
    _checks.integer("seed", command.seed, 0, 2**31 - 1, "pass a whole number")
    earlier = None if command.compare is None else read_run(command.compare)
    if command.out is not None:
        prepare_directory(command.out, command.overwrite)
    from icl_theory.report import console, verify_output

    console.start()
    from icl_theory.claims.run import verify

    with console.LiveProgress() as progress:
        report = verify(
            command.claims or None,
            profile=command.profile,
            seed=command.seed,
            out=command.out,
            overwrite=command.overwrite,
            progress=progress,
            earlier=earlier,
        )
    verify_output.show(report.records, report.changes, as_json=command.json)
    verify_output.remarks(report.records, command.out)
    return 0 if report.sound else 1


def _train(command: Train) -> int:
    from icl_theory.report import console, run_directory, train_run
    from icl_theory.report.records import to_json

    train_run.validate(command)
    settings = train_run.own_fields(command)
    out = run_directory.prepare(settings, command.out, overwrite=command.overwrite, resume=command.resume)
    console.start()
    with console.LiveProgress() as progress, console.warnings_as_remarks():
        document = train_run.run(command, out, resume=command.resume, progress=progress)
    if out is not None:
        console.remark(f"configuration, metrics, checkpoints, loss curve and weights are in {command.out}")
    if command.json:
        sys.stdout.write(to_json(document))
    else:
        console.show(train_run.table(document))
    if document["diverged"]:
        console.remark(f"not sound: training diverged for seeds {document['diverged']}")
    return 1 if document["diverged"] else 0


def _bounds(command: Bounds) -> int:
    from icl_theory import _checks
    from icl_theory.report import bounds, bounds_config, console, plain_text, terminal
    from icl_theory.report.records import number, to_json

    bounds_config.validate(command)
    if command.resume and command.out is None:
        raise _checks.refuse("resume", "no directory", "the directory of a sweep", "name it with --out")
    out = None
    if command.out is not None:
        out = bounds.prepare(command, command.out, overwrite=command.overwrite, resume=command.resume)
    console.start()
    with console.LiveProgress() as progress:
        document = bounds.run(command, progress, out=out, resume=command.resume)
    if out is not None:
        bounds.write_results(document, out)
        console.remark(f"records and figures are in {command.out}")
    if command.json:
        sys.stdout.write(to_json(document))
    else:
        records = document if console.shows_greek() else plain_text.ascii_records(document)
        console.show(terminal.sweep_table(records["sweep"]), "", *terminal.remarks_on_rungs(records["sweep"]))
    if document["diverged"]:
        console.remark(f"not sound: training diverged for seeds {document['diverged']}, which are left out")
    risks = [number(record[name]["value"]) for record in document["sweep"] for name in ("gap", "population_risk")]
    finite = all(map(math.isfinite, risks))
    if not finite:
        console.remark("not sound: a gap or a risk is not finite")
    return 0 if finite and not document["diverged"] else 1


def _explain(command: Explain) -> int:
    from icl_theory.claims import all_labels, load, package_of, require_known
    from icl_theory.report import console
    from icl_theory.report.explain import explain_record, explain_text
    from icl_theory.report.records import to_json

    console.spell_out()
    if command.claim is None:
        origin = {label: package_of(label) for label in all_labels()}
        lines = [f"  {label}" if package is None else f"  {label}  ({package})" for label, package in origin.items()]
        listing = "\n".join(("Claims (`icl-theory explain LABEL` says more):", *lines))
        sys.stdout.write(to_json({"claims": list(origin)}) if command.json else listing + "\n")
        return 0
    require_known([command.claim])
    claim = load(command.claim)
    text = to_json(explain_record(claim)) if command.json else explain_text(claim) + "\n"
    sys.stdout.write(text)
    return 0


def _recheck(command: Recheck) -> int:
    from icl_theory.report.records import plain, read_json, to_json

    document = read_json(command.file)
    from icl_theory.claims.certificate import recheck
    from icl_theory.report import console

    console.spell_out()
    found = recheck(document)
    sys.stdout.write(to_json(plain(found)) if command.json else f"{found}\n")
    return 0 if found.confirmed else 1
