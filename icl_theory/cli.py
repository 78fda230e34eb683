"""The command `icl-theory`: verify, train, bounds, explain, recheck.

Exit status: 0 the run is sound (a printed statement found false is a finding, not a failure); 1 something was
inconclusive or not finite, a control slipped through or a derivation failed; 2 bad input or a package of claims that
cannot be used, with one line that says what was got, what was expected and the cure; 130 interrupted. With --json,
standard output holds one JSON document.

What a command needs is imported where it runs, so that --help answers at once.
"""

import math
import os
import sys
from collections.abc import Sequence

from icl_theory import __version__
from icl_theory.commands import PROGRAM, Bounds, Explain, Recheck, Train, Verify, parse


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns: the exit status."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if "--version" in arguments[:1]:
        print(f"{PROGRAM} {__version__}")
        return 0
    try:
        command = parse(arguments)
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
