"""Journals: files of JSON lines that a run appends to, so that an interrupted run goes on where it stopped."""

import itertools
import json
import os
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

from icl_theory.core import checks
from icl_theory.records.documents import NON_FINITE, to_plain


class Journal:
    """A file of JSON lines, each appended and synced at once, so that a killed process loses the line it was at.

    A last line without its end, all that a crash can leave behind, is cut off when the file is opened again.
    """

    lines: list[dict[str, Any]]
    """All lines but the one of the settings: those read back, then those added."""

    def __init__(
        self,
        path: str | Path,
        settings: dict[str, Any] | None = None,
        *,
        resume: bool = True,
        fields: Collection[str] = (),
    ) -> None:
        """Begin the file, or read it back.

        Args:
            path: the file; missing directories are made.
            settings: what determines the lines, with a number "format"; the first line holds them. None: no such line.
            resume: go on with a file that is there, instead of starting again.
            fields: what every line must have.

        Raises: ValueError for a file of other settings, or one that is no such journal; OSError.
        """
        self.path, self.lines, self._fields, self._lock = Path(path), [], frozenset(fields), threading.Lock()
        self._ends = [0]  # bytes up to the end of the settings and of each line after them
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = _whole_lines(self.path) if resume and self.path.is_file() else b""
        if not content:
            self.path.write_bytes(b"")
        header = None if settings is None else to_plain(settings)
        self._read(content, header)
        if header is not None and not content:
            self._ends[0] = self._append(header)

    def add(self, line: dict[str, Any]) -> None:
        """Append a line; threads may do so side by side. Raises: TypeError for what a record cannot hold, OSError."""
        line = to_plain(line)
        with self._lock:
            self._ends.append(self._append(line))
            self.lines.append(line)

    def keep(self, count: int) -> None:
        """Cut off what stands after the first `count` lines."""
        with self._lock:
            if len(self.lines) > count:
                os.truncate(self.path, self._ends[count])
                del self.lines[count:], self._ends[count + 1 :]

    def _append(self, line: dict[str, Any]) -> int:
        content = json.dumps(line, allow_nan=False, ensure_ascii=False).encode() + b"\n"
        with self.path.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()

    def _read(self, content: bytes, header: dict[str, Any] | None) -> None:
        raw = content.splitlines(keepends=True)
        try:
            lines = [json.loads(line) for line in raw]
        except ValueError:
            raise self._error("a file with a line that is no JSON") from None
        ends = list(itertools.accumulate(map(len, raw), initial=0))
        if header is not None and lines:
            first = lines.pop(0)
            if not isinstance(first, dict) or first.get("format") != header.get("format"):
                raise self._error("a file of another kind")
            require_same(header, first)
            ends.pop(0)
        if not all(isinstance(line, dict) and line.keys() >= self._fields for line in lines):
            raise self._error("a file with a line that is no entry")
        self.lines, self._ends = lines, ends

    def _error(self, got: str) -> ValueError:
        hint = "remove it and start again, or name another place"
        return checks.error("resume", f"{self.path.name!r}, {got}", "the lines of an interrupted run", hint)


class EntryJournal(Journal):
    """The finished entries of a run under the settings they were made with."""

    FORMAT: int
    PLACE: tuple[str, ...]
    """Which entry it is."""

    def __init__(self, path: str | Path, settings: dict[str, Any], *, resume: bool) -> None:
        """Begin the file, or read it back, as every journal. Args: settings: plain numbers and strings."""
        super().__init__(path, {"format": self.FORMAT, **settings}, resume=resume, fields=self.PLACE)

    @property
    def finished(self) -> list[dict[str, Any]]:
        """The entries in the order in which they were finished, with their infinities as floats."""
        return [_floats(line) for line in self.lines]


class SweepJournal(EntryJournal):
    """Of bound versus rank."""

    FORMAT, PLACE = 4, ("task", "seed", "layer", "module", "rank")


class SearchJournal(EntryJournal):
    """Of searches for a truncation that helps."""

    FORMAT, PLACE = 1, ("seed", "search")


def require_same(now: dict[str, Any], then: Any) -> None:
    """Raise an error rather than go on under settings that are not those of the interrupted run, naming both values of
    each.

    Raises: ValueError.
    """
    then = then if isinstance(then, dict) else {}
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if names:
        got = "; ".join(f"{name} {now.get(name)} (saved: {then.get(name)})" for name in names)
        raise checks.error("resume", got, "the settings of the interrupted run", "repeat them or start again")


def _whole_lines(path: Path) -> bytes:
    """The file up to its last line end; what follows is cut off."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return whole


def _floats(value: Any) -> Any:
    """A record read back, its spelt infinities as floats again."""
    if isinstance(value, dict):
        numbers = {
            key: NON_FINITE[item] for key, item in value.items() if key in ("value", "stderr") and item in [*NON_FINITE]
        }
        return {key: _floats(item) for key, item in value.items()} | numbers
    return [_floats(item) for item in value] if isinstance(value, list) else value
