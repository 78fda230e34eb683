"""What `icl-theory grid` and `figures` do; what they need is imported where it runs, so that --help answers at once."""

import sys
from pathlib import Path

from icl_theory.cli.options import Figures, GridRun


def grid(command: GridRun) -> int:
    """Run the grid, a shard of it, or merge shards; show what the record says. Returns: the exit status."""
    from icl_theory.records.documents import to_json
    from icl_theory.report.terminal import console, grid_tables
    from icl_theory.runs import grid

    _require_one_purpose(command)
    names = [] if command.finding is None else [command.finding]
    record = None if command.record is None else Path(command.record)
    grid.require_shards(command.merge)
    out = None
    if command.out is not None:
        out = grid.prepare(command, command.out, overwrite=command.overwrite, resume=command.resume)
        console.start()
        if command.merge:
            record = grid.merge(command, command.merge, out)
        else:
            with console.LiveProgress() as progress:
                units = grid.run(command, out, resume=command.resume, progress=progress)
            if command.shard != "1/1":
                console.log(f"{len(units)} ensembles are in {command.out}; put all shards together with --merge")
                return 0
            record = out / grid.RECORD
    document = grid.document_of(command, record, names)
    # Shown before the files are written, as in `verify`.
    if command.json:
        sys.stdout.write(to_json(document))
    elif names:
        found = document["findings"][0]
        console.show(*grid_tables.finding_lines(found), "", grid_tables.factor_table(found))
    else:
        console.show(grid_tables.findings_table(document["findings"]))
    if document["changed_after"]:
        console.log(f"changed after the run of this record: {', '.join(document['changed_after'])}")
    if out is not None:
        grid.write_findings(document, out)
        console.log(f"record and findings are in {command.out}")
    for found in document["findings"]:
        if found["counts"]["not finite"]:
            console.log(
                f"{found['name']}: {found['counts']['not finite']} cells have no finite number and decide nothing"
            )
    return 0


def _require_one_purpose(command: GridRun) -> None:
    """Raises: ValueError for options that do not go together."""
    from icl_theory.core import checks

    if command.out is None and (command.merge or command.resume or command.overwrite or _part_of_a_run(command)):
        raise checks.error("out", "no directory", "the directory of a run", "name it with --out")
    if command.out is not None and (command.finding is not None or command.record is not None):
        given = "finding" if command.finding is not None else "record"
        raise checks.error("out", f"also a {given}", "one of the two", "a record is read without --out")
    if command.merge and (command.resume or command.shard != "1/1"):
        given = "resume" if command.resume else "shard"
        raise checks.error("merge", f"also {given}", "one of the two", "drop one of them")


def _part_of_a_run(command: GridRun) -> bool:
    """Whether an option is given that says what is run."""
    return (command.profile, command.shard) != (GridRun.profile, GridRun.shard)


def figures(command: Figures) -> int:
    """List the figures, or make their records and draw them. Returns: the exit status."""
    from icl_theory.core import checks
    from icl_theory.records.documents import to_json
    from icl_theory.report.terminal import console
    from icl_theory.runs import figures

    if command.out is None:
        if command.figures or command.overwrite or command.resume:
            raise checks.error("out", "no directory", "where the figures go", "name it with --out")
        listed = [{"name": name, "caption": figures.caption_of(name)} for name in figures.FIGURES]
        lines = [f"{found['name']}: {found['caption']}\n" for found in listed]
        sys.stdout.write(to_json({"figures": listed}) if command.json else "\n".join(lines))
        return 0
    out = figures.prepare(command.out, overwrite=command.overwrite, resume=command.resume)
    console.start()
    files: list[str] = []
    with console.LiveProgress() as progress:
        for made in figures.run(command, out, progress):
            files += [str(path) for path in made]
    sys.stdout.write(to_json({"files": files}) if command.json else "".join(f"{path}\n" for path in files))
    return 0
