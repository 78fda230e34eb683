"""The directory of a training run: never overwritten unasked, and resumed only as the run that it is."""

import argparse
import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from icl_theory.core import checks
from icl_theory.records.documents import to_plain
from icl_theory.records.files import prepare_directory, read_json
from icl_theory.records.journal import Journal, require_same
from icl_theory.training.checkpoints import SEAL, require_spellable

FILES = ("weights.npz", "loss.pdf", "loss.png", "metrics.jsonl", "config.json")
"""What a run directory holds besides `checkpoints`; in this order they are removed when a run is overwritten."""


def prepare(settings: dict[str, Any], out: str | None, *, overwrite: bool, resume: bool) -> Path | None:
    """The run directory, new, emptied of an earlier run, or as it was left; None for no directory.

    Args:
        settings: the configuration, which must be the one in config.json for a resume.
        out: where; None for nowhere.
        overwrite: remove the files of an earlier run; others stay.
        resume: leave a run as it is; where none has begun, start one.

    Raises: ValueError for a directory that is in use, or holds a run under other settings.
    """
    if resume and overwrite:
        raise checks.error("resume", "also overwrite", "one of the two", "drop one of them")
    if out is None:
        if resume:
            raise checks.error("resume", "no directory", "the directory of a run", "name it with --out")
        return None
    path = Path(out)
    require_spellable(path)
    if resume and (path / "config.json").is_file():
        document = read_json(path / "config.json")
        require_same(settings, document.get("configuration") if isinstance(document, dict) else None)
        if not can_go_on(path):  # killed before the first checkpoint was whole
            shutil.rmtree(path / "checkpoints", ignore_errors=True)
        return path
    prepare_directory(path, overwrite)
    for name in FILES:
        (path / name).unlink(missing_ok=True)
    shutil.rmtree(path / "checkpoints", ignore_errors=True)
    return path


def can_go_on(path: Path) -> bool:
    """Whether the run in that directory has a whole checkpoint; otherwise it starts from the beginning."""
    return any((path / "checkpoints").glob(f"*/{SEAL}"))


@contextlib.contextmanager
def metrics_file(out: Path | None) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A function that puts the next line into metrics.jsonl, one record per chunk from the first chunk on.

    After a resume the chunks before it come again. A line that already stands there is left as it is, a half-written
    or different one is cut off with all that follows: so no line is ever lost or doubled, whenever the process dies.
    """
    if out is None:
        yield lambda _line: None
        return
    journal, count = Journal(out / "metrics.jsonl"), itertools.count()

    def write(line: dict[str, Any]) -> None:
        place = next(count)
        if journal.lines[place : place + 1] != [to_plain(line)]:
            journal.keep(place)
            journal.add(line)

    yield write
    journal.keep(next(count))


def from_arguments(description: str | None, default: str) -> Path:
    """The directory that a script's --out names, made ready; --overwrite as in the command.

    Ends the process with status 2 and one line where the directory cannot be used.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(default), help="run directory")
    parser.add_argument("--overwrite", action="store_true", help="replace the records of an earlier run")
    arguments = parser.parse_args()
    try:
        return prepare_directory(arguments.out, arguments.overwrite)
    except ValueError as error:
        parser.error(str(error))
