"""Deliberate defects of the package, plain data in the TOML files of this folder; read and applied here.

Each is what a good programmer gets wrong in one line: a forgotten term, a lost square root, two arguments exchanged.
`wrong` says what a user would then see. One that cannot change any result is marked `equivalent`, with the reason.
"""

import ast
import functools
import hashlib
import itertools
import json
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CLASSES = ("formula", "branch", "error bar", "independence", "machinery", "claims engine")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Defect:
    """One text of one file, and what takes its place."""

    name: str
    file: str
    """Relative to the root of the repository."""
    kind: str
    """One of CLASSES."""
    old: str
    new: str
    wrong: str
    """What a user would get wrong, in a sentence."""
    occurrence: int = 1
    """Which of the places where `old` stands is meant."""
    times: int = 1
    """How often `old` stands in the file."""
    equivalent: str = ""
    """Why the defect cannot change a result; empty for a real one."""

    @property
    def digest(self) -> str:
        """Changes with everything that decides what is tried."""
        return digest(json.dumps([self.file, self.old, self.new, self.occurrence]).encode())

    def applied(self, source: str) -> str:
        """The source with the defect. Raises: ValueError, saying why, where the list does not fit the source."""
        found = source.count(self.old)
        if found != self.times:
            raise ValueError(f"its text stands {found} times in {self.file}, expected {self.times}")
        if self.old == self.new or not self.old:
            raise ValueError("it changes nothing")
        at = -1
        for _ in range(self.occurrence):
            at = source.index(self.old, at + 1)
        stop = at + len(self.old)
        start, end = next(((a, b) for a, b in _statements(source) if a <= at and stop <= b), (0, len(source)))
        try:
            before, after = (ast.parse(source[start:at] + text + source[stop:end]) for text in (self.old, self.new))
        except SyntaxError as error:
            raise ValueError(f"what takes its place is no Python: {error}") from None
        if ast.dump(before) == ast.dump(after):
            raise ValueError("it changes no code")
        return source[:at] + self.new + source[stop:]


@functools.lru_cache
def _statements(source: str) -> list[tuple[int, int]]:
    """Where the statements of a module begin and end: one of them is parsed in a tenth of the time of the whole."""
    ends = [0, *itertools.accumulate(len(line) + 1 for line in source.split("\n"))]
    nodes = ast.parse(source).body
    firsts = [min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))]) for node in nodes]
    return [(ends[first - 1], ends[node.end_lineno or first]) for first, node in zip(firsts, nodes, strict=True)]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def load(folder: Path = FOLDER) -> list[Defect]:
    """All defects, file by file. Raises: ValueError for an entry that is not one, or a name used twice."""
    found: list[Defect] = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["defect"]:
            found.append(_defect(entry, path))
    names = [defect.name for defect in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"names used twice: {', '.join(twice)}")
    return found


def _defect(entry: dict[str, Any], path: Path) -> Defect:
    fields = dict(entry)
    try:
        defect = Defect(kind=fields.pop("class"), **fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name}: {entry.get('name', 'an entry without a name')}: {error}") from None
    empty = [name for name, value in asdict(defect).items() if value == "" and name not in ("new", "equivalent")]
    if defect.kind not in CLASSES or empty or not 1 <= defect.occurrence <= defect.times:
        raise ValueError(f"{path.name}: {defect.name}: class {defect.kind!r}, empty: {', '.join(empty) or 'none'}")
    return defect
