"""The finished entries of a sweep as JSON lines, so that an interrupted sweep goes on where it stopped."""

import json
import os
from pathlib import Path
from typing import Any

from icl_theory.core import checks
from icl_theory.records.documents import NON_FINITE, plain

FORMAT = 2
_SPELT = tuple(NON_FINITE)
PLACE = {"seed", "layer", "module", "rank"}
"""Fields of an entry that say which one it is."""


class SweepJournal:
    """A file whose first line holds the settings and every further line one finished entry.

    A line is appended and synced after each entry, so that a killed process loses the entry it was at. A last line
    without its end, all that a crash can leave behind, is cut off when the file is opened again.
    """

    def __init__(self, path: str | Path, settings: dict[str, Any], *, resume: bool) -> None:
        """Begin the file, or read it back.

        Args: settings: what determines the entries; plain numbers and strings. resume: go on with a file that is there.
        Raises: ValueError for a file of other settings, or one that is not a journal; OSError.
        """
        self.path, self.finished = Path(path), []
        header = {"format": FORMAT, "settings": plain(settings)}
        if resume and self.path.is_file():
            self.finished = self._read(header)
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self._append(header)

    finished: list[dict[str, Any]]
    """Entries read back, in the order in which they were finished, with their infinities as floats."""

    def add(self, entry: dict[str, Any]) -> None:
        """Append one finished entry. Raises: TypeError for what a record cannot hold, OSError."""
        self._append(plain(entry))

    def _append(self, line: dict[str, Any]) -> None:
        content = json.dumps(line, allow_nan=False, ensure_ascii=False).encode() + b"\n"
        with self.path.open("ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _read(self, header: dict[str, Any]) -> list[dict[str, Any]]:
        content = self.path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
        except ValueError:
            raise self._refused("a file with a line that is no JSON") from None
        if not lines:  # the process died while it wrote the settings
            self._append(header)
            return []
        if not isinstance(lines[0], dict) or lines[0].get("format") != FORMAT:
            raise self._refused("a file of another kind")
        _require_same(header["settings"], lines[0].get("settings"))
        if not all(isinstance(line, dict) and line.keys() >= PLACE for line in lines[1:]):
            raise self._refused("a file with a line that is no entry")
        return [_floats(line) for line in lines[1:]]

    def _refused(self, got: str) -> ValueError:
        return checks.refuse("resume", f"{self.path.name!r}, {got}", "the entries of a sweep", "start the sweep anew")


def _require_same(now: dict[str, Any], then: Any) -> None:
    """Refuse to mix entries of two different sweeps, naming what differs."""
    then = then if isinstance(then, dict) else {}
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if names:
        got = "; ".join(f"{name} {now.get(name)} (saved: {then.get(name)})" for name in names)
        raise checks.refuse("resume", got, "the settings of the interrupted sweep", "repeat them or start anew")


def _floats(value: Any) -> Any:
    """A record read back, its spelt infinities as floats again."""
    if isinstance(value, dict):
        numbers = {
            key: NON_FINITE[item] for key, item in value.items() if key in ("value", "stderr") and item in _SPELT
        }
        return {key: _floats(item) for key, item in value.items()} | numbers
    return [_floats(item) for item in value] if isinstance(value, list) else value
