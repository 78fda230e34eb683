"""The grid run: every ensemble of a shard trained, edited and written down, and shards merged to one record.

Importing this file is quick: nothing heavy is loaded before `run`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icl_theory.core.progress import Progress
from icl_theory.runs.grid_config import GridConfig, shard_of

if TYPE_CHECKING:
    from icl_theory.records.journal import Journal

FORMAT = 1
UNITS, RECORD = "units.jsonl", "grid.json.gz"
"""The finished ensembles of a shard, and the record of a whole run."""


def run(config: GridConfig, out: Path, *, resume: bool = False, progress: Progress | None = None) -> list[dict]:
    """The records of the shard's ensembles, each written to `out` as soon as it is finished.

    Args:
        config: see `GridConfig`.
        out: directory, as `prepare` returns it.
        resume: go on behind the ensembles that are finished.
        progress: called with (what, done, total).

    Returns: the units, in the order of the grid; if the shard is the whole grid, the record is written too.
    Raises: ValueError for a shard that is none, or a resume under other settings or registered files.
    """
    from icl_theory.grids.kinds import KINDS
    from icl_theory.grids.records import write_record

    part, parts = shard_of(config)
    kind = KINDS[config.grid]
    registered = kind.grid(config.profile)
    units = registered.units[part - 1 :: parts]
    journal = _journal(config, out, resume)
    finished = {tuple(record["unit"]): record for record in journal.lines}
    for place, unit in enumerate(units):
        if unit.key not in finished:
            finished[unit.key] = kind.unit_record(registered, unit, progress)
            journal.add(finished[unit.key])
        if progress is not None:
            progress("ensembles of the grid", place + 1, len(units))
    if parts == 1:
        write_record(out / RECORD, config.grid, registered, finished.values())
    return [finished[unit.key] for unit in units]


def prepare(config: GridConfig, out: str | Path, *, overwrite: bool, resume: bool) -> Path:
    """The directory of a run: new, emptied of an earlier run, or as it was left.

    To resume where nothing has begun is to start.

    Raises: ValueError for a directory in use, for a resume of a run under other settings, or for both options at once.
    """
    from icl_theory.core import checks
    from icl_theory.records.files import prepare_directory

    if resume and overwrite:
        raise checks.error("resume", "also overwrite", "one of the two", "drop one of them")
    shard_of(config)
    begun = resume and (Path(out) / UNITS).is_file()
    path = prepare_directory(out, overwrite or begun)
    if begun:
        _journal(config, path, resume=True)
    else:
        for name in (UNITS, RECORD):
            (path / name).unlink(missing_ok=True)
    return path


def require_shards(folders: Sequence[str | Path]) -> None:
    """Raises: ValueError for a directory without a shard."""
    from icl_theory.core import checks

    for folder in folders:
        if not (Path(folder) / UNITS).is_file():
            hint = "name the --out directories of all shards"
            raise checks.error("merge", f"{str(folder)!r}, which holds no shard", "the directory of a shard", hint)


def merge(config: GridConfig, folders: Sequence[str | Path], out: Path) -> Path:
    """Put the shards of a run together: byte for byte the record that one shard for all would have made.

    Args:
        config: which grid.
        folders: the directories of all shards.
        out: directory of the record.

    Returns: the path of the record.
    Raises: ValueError for a directory without a shard, shards of different settings, or an ensemble that is missing.
    """
    from icl_theory.grids.kinds import KINDS
    from icl_theory.grids.records import settings_of, write_record
    from icl_theory.records.journal import Journal

    units: list[dict[str, Any]] = []
    profile: Any = None
    require_shards(folders)
    for folder in folders:
        path = Path(folder) / UNITS
        profile = profile or _profile_of(path)
        units += Journal(path, _settings(settings_of(config.grid, profile)), fields=("unit",)).lines
    return write_record(out / RECORD, config.grid, KINDS[config.grid].grid(profile), units)


def document_of(config: GridConfig, record: Path | None, names: Sequence[str] = ()) -> dict[str, Any]:
    """The findings of a record, judged.

    Args:
        config: which grid.
        record: a file, of any grid; None for the records of the full grids that the package comes with.
        names: of findings; all of the record's if none is named.

    Returns: a plain dictionary: format, profile, seeds, files changed after the run, findings.
    Raises: ValueError for a name that is none, or a file that is no record.
    """
    from icl_theory.core import checks
    from icl_theory.grids.finding_records import finding_record
    from icl_theory.grids.judgement import judge
    from icl_theory.grids.records import SHIPPED, read_record
    from icl_theory.grids.registration import findings
    from icl_theory.records.documents import to_plain

    registered = findings()
    for name in names:
        checks.choice("finding", name, tuple(registered))
    grid = registered[names[0]].grid if names else config.grid
    of, table, changed = read_record(record or SHIPPED / f"{grid}.json.gz")
    chosen = [registered[name] for name in names or registered if registered[name].grid == of]
    judged = [judge(finding, table) for finding in chosen if any(finding.cells(table.grid))]
    if names and not judged:
        hint = "name a finding of that grid and profile"
        raise checks.error("finding", repr(names[0]), f"one of the record, which is of {of!r}", hint)
    document = {"format": FORMAT, "grid": of, "profile": table.grid.profile, "seeds": table.grid.seeds}
    return to_plain(document | {"changed_after": changed, "findings": [finding_record(found) for found in judged]})


def write_findings(document: dict[str, Any], out: Path) -> None:
    """`findings.csv` and, last, `findings.json`."""
    from icl_theory.grids.finding_records import findings_csv
    from icl_theory.records.files import write_bytes, write_json

    write_bytes(out / "findings.csv", findings_csv(document["findings"]).encode("utf-8"))
    write_json(out / "findings.json", document)


def _journal(config: GridConfig, out: Path, resume: bool) -> "Journal":
    from icl_theory.grids.records import settings_of
    from icl_theory.records.journal import Journal

    return Journal(out / UNITS, _settings(settings_of(config.grid, config.profile)), resume=resume, fields=("unit",))


def _settings(settings: dict[str, Any]) -> dict[str, Any]:
    """With the digests under names of their own, so that an error names the file that differs."""
    digests = {f"registered file {name}": digest for name, digest in settings["registered"].items()}
    return {"format": settings["format"], "profile": settings["profile"]} | digests


def _profile_of(path: Path) -> str:
    import json

    with path.open(encoding="utf-8") as file:
        header = json.loads(file.readline() or "{}")
    return header.get("profile", "full")
