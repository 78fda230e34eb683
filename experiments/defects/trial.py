"""One defect after the other in a copy of the tree: the copy, the tests without any defect, the journal."""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from defects import Defect, digest, mirrors
from icl_theory.records.journal import Journal

CACHE = Path(tempfile.gettempdir()) / "icl_theory_mutation_cache"
"""Compiled programs of the tests (see tests/conftest.py), kept between runs: what is mutated has another key."""
NOT_COPIED = (".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis", "*.egg-info")
KILLED, SURVIVED, STALE, BROKEN = "killed", "survived", "stale", "broken"
PATIENCE, SPARE_SECONDS = 10.0, 60.0
"""A test run may take so many times what it took without the defect, and so much more; then it counts as killed."""
DRIVER = """
import pathlib, sys
import icl_theory
assert pathlib.Path(icl_theory.__file__).is_relative_to(pathlib.Path.cwd()), f"WRONG PACKAGE {icl_theory.__file__}"
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


class Ran(NamedTuple):
    """What became of one command."""

    code: int | None
    """Exit status; None if it ran out of time."""
    output: str
    seconds: float


class Copy:
    """A copy of the tree, in which defects are planted and tests are run."""

    def __init__(self, source: Path, folder: Path) -> None:
        everywhere = shutil.ignore_patterns(*NOT_COPIED)

        def left_out(at: str, names: list[str]) -> set[str]:
            """What runs have written lies at the root; icl_theory/runs is a package."""
            return everywhere(at, names) | ({"runs"} if Path(at) == source else set())

        self.root = Path(shutil.copytree(source, folder, ignore=left_out))

    def digest(self, file: str) -> str:
        return digest((self.root / file).read_bytes())

    @contextmanager
    def defective(self, defect: Defect) -> Iterator[None]:
        """The tree with the defect. Raises: ValueError for one that does not fit the source."""
        path = self.root / defect.file
        source = path.read_text(encoding="utf-8")
        path.write_text(defect.applied(source), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(source, encoding="utf-8")

    def run(self, arguments: Sequence[str], limit: float | None) -> Ran:
        """A Python command in the copy, which it imports whatever else is installed."""
        own = {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1", "ICL_TEST_CACHE": str(CACHE)}
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.root,
            env=os.environ | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that what the tests have started ends with them
        ) as process:
            try:
                output, code = process.communicate(timeout=limit)[0], process.returncode
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, code = process.communicate()[0], None
        return Ran(code, output, time.perf_counter() - started)

    def tests(self, names: Sequence[str], limit: float | None) -> Ran:
        """Default tests of these files, up to the first failure."""
        options = ("-x", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider")
        return self.run(["-c", DRIVER, *options, *(f"tests/{name}" for name in names)], limit)


class RedBaseline(Exception):
    """Tests fail without any defect, so that they prove nothing."""


class Baseline:
    """Seconds of every test file without any defect, and whether it is green; kept in the journal too."""

    def __init__(self, journal: Journal, without_red: bool, notify: Callable[[str], None]) -> None:
        self._journal, self._without_red, self._tell, self._lock = journal, without_red, notify, threading.Lock()
        self.red: set[str] = set()

    def green(self, copy: Copy, names: Sequence[str]) -> dict[str, float]:
        """Seconds of those that are green. Raises: Refused if one is not, unless red ones are to be left out."""
        result = {}
        for name in names:
            with self._lock:
                line = self._measured(copy, name)
            if line["green"]:
                result[name] = line["seconds"]
            elif self._without_red:
                self.red.add(name)
            else:
                raise RedBaseline(f"tests/{name} fails without any defect: {line['by']}")
        return result

    def _measured(self, copy: Copy, name: str) -> dict[str, Any]:
        key = {"baseline": name, "tests": copy.digest(f"tests/{name}"), "package": _package_digest(copy.root)}
        for line in reversed(self._journal.lines):
            if all(line.get(field) == value for field, value in key.items()):
                return line
        self._tell(f"without any defect: {name}")
        ran = copy.tests([name], None)
        line = key | {"green": ran.code in (0, 5), "seconds": round(ran.seconds, 1), "by": _failed(ran)}
        self._journal.add(line)
        return line


def _package_digest(root: Path) -> str:
    files = sorted((root / "icl_theory").rglob("*.py"))
    return digest(b"".join(path.read_bytes() for path in files))


def _failed(ran: Ran) -> str:
    """The test that failed, or what else ended the run."""
    if ran.code is None:
        return "timeout"
    found = re.search(r"^(?:FAILED|ERROR) (\S+)", ran.output, re.MULTILINE)
    last = [line for line in ran.output.splitlines() if line.strip()][-1:]
    return found[1] if found else "".join(last)[:200]


def known(journal: Journal, defect: Defect, copy: Copy) -> dict[str, Any] | None:
    """What earlier runs say that is still so: killed by a test that has not changed, or survived those named in it."""
    lines = [d for d in journal.lines if d.get("defect") == defect.digest and d["source"] == copy.digest(defect.file)]
    lines = [line for line in lines if line["outcome"] in (KILLED, SURVIVED)]
    for line in reversed(lines):
        there = {name for name in line["tests"] if (copy.root / "tests" / name).is_file()}
        same = {name for name in there if copy.digest(f"tests/{name}") == line["tests"][name]}
        if line["outcome"] == KILLED and same == set(line["tests"]):
            return line
        if line["outcome"] == SURVIVED:
            return line | {"tests": {name: line["tests"][name] for name in same}}
    return None


def tried(
    defect: Defect, copy: Copy, baseline: Baseline, arguments: argparse.Namespace, before: dict[str, Any] | None
) -> dict[str, Any]:
    """What the tests, and on request the claims, say of one defect, without those that it has survived `before`."""
    line: dict[str, Any] = {
        "name": defect.name,
        "class": defect.kind,
        "file": defect.file,
        "defect": defect.digest,
        "stage": "",
    }
    line |= {"source": copy.digest(defect.file), "outcome": SURVIVED, "by": ""}
    line |= {"tests": dict(before["tests"]) if before else {}, "claims": bool(before and before["claims"])}
    stages = mirrors.stages(copy.root, defect.file)
    if arguments.deep:
        stages["all"] = mirrors.deep(copy.root, [name for names in stages.values() for name in names])
    try:
        for stage, names in stages.items():
            if arguments.quick and stage != "named":
                break
            times = baseline.green(copy, [name for name in names if name not in line["tests"]])
            if not times:
                continue
            with copy.defective(defect):
                # The quick ones first, since the first failure ends the run.
                ran = copy.tests(sorted(times, key=lambda n: times[n]), SPARE_SECONDS + PATIENCE * sum(times.values()))
            digests = {name: copy.digest(f"tests/{name}") for name in times}
            # A signal from outside, a lack of memory or an error of pytest's own is no verdict of a test.
            if "WRONG PACKAGE" in ran.output or ran.code in (3, 4) or (ran.code is not None and ran.code < 0):
                return line | {"outcome": BROKEN, "by": f"status {ran.code}: {ran.output[-300:]}", "stage": stage}
            if ran.code not in (0, 5):
                by = _failed(ran)
                killer = by.removeprefix("tests/").split("::")[0]
                kept = {killer: digests[killer]} if killer in digests else digests
                return line | {"outcome": KILLED, "by": by, "tests": kept, "stage": stage}
            line |= {"tests": line["tests"] | digests, "stage": stage}
        labels = mirrors.claims(copy.root, defect.file) if arguments.claims and not line["claims"] else []
        if labels:
            with copy.defective(defect):
                ran = copy.run(["-m", "icl_theory", "verify", "--claims", *labels], 1800)
            if ran.code != 0:
                return line | {"outcome": KILLED, "by": f"claims: {_failed(ran)}", "tests": {}, "stage": "claims"}
            line["claims"] = True
    except ValueError as error:
        return line | {"outcome": STALE, "by": str(error)}
    return line
