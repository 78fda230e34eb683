"""`pytest --closest N`: the N comparisons of the run that come nearest to their tolerance, worst entry of each.

A comparison that uses a tenth of its tolerance or more here may be red under another BLAS. Seen are
`numpy.testing.assert_allclose`, `pytest.approx` and the comparisons of `helpers`; with
`-o enable_assertion_pass_hook=true` also plain `assert a < b` of two numbers where the source speaks of a difference.
Those whose source line speaks of an error bar are marked: there, nearness is chance and not rounding.
Below them are the lines whose tolerance is as large as the number expected, so that 0 would pass: `approx(x, rel=...)`
still has its absolute tolerance of 1e-12.
"""

import linecache
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import helpers
import numpy as np
import pytest

HERE = str(Path(__file__).parent)
SAMPLED = re.compile(r"std|stderr|error|sigma|band|samples|assert_mean|assert_same_mean|\bz\b")
DIFFERENCE = re.compile(r"abs\(|norm\(|max\(|gap|distance|difference")
BARE = re.compile(r"^np\.\w+\((.*)\)$")
TWO_NUMBERS = re.compile(r"^(\S+) <=? (\S+)$")


class Nearest(NamedTuple):
    """The comparison of one source line that came nearest to its tolerance."""

    ratio: float
    """|difference| / tolerance of the worst entry."""
    test: str
    """The test it happened in."""
    sampled: bool
    """Whether the source line speaks of an error bar."""


def worst_ratio(difference: Any, tolerance: Any) -> float:
    """The largest |difference| / tolerance, entries that are equal counting 0 and NaN not at all."""
    difference, tolerance = np.broadcast_arrays(np.abs(difference), tolerance)
    with np.errstate(all="ignore"):
        ratio = np.where(difference == 0, 0.0, np.divide(difference, tolerance, dtype=float))
    return float(np.nanmax(ratio, initial=0.0))


def calling_line() -> str | None:
    """`file:line` of the innermost frame in a test module or its helpers; None outside tests."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(HERE) and name not in (__file__, helpers.__file__):
            return f"{name}:{frame.f_lineno}"
        frame = frame.f_back
    return None


class Closeness:
    """Wraps the comparisons and keeps the nearest one of every source line."""

    def __init__(self, shown: int) -> None:
        self.shown, self.nearest, self.blind = shown, dict[str, Nearest](), dict[str, str]()
        self._restore: list[tuple[Any, str, Any]] = []

    def note(self, ratio: float, place: str | None, *, source: str | None = None) -> None:
        """Keeps a ratio of at most 1; larger ones are failures, or were expected to differ."""
        if place is None or not ratio <= 1:
            return
        name, _, line = place.rpartition(":")
        source = linecache.getline(name, int(line)) if source is None else source
        test = running_test()
        if place not in self.nearest or self.nearest[place].ratio < ratio:
            self.nearest[place] = Nearest(ratio, test, bool(SAMPLED.search(source)))

    def wrap(self, owner: Any, name: str, ratio: Callable[..., float | None]) -> None:
        """Replaces `owner.name` by a version that notes `ratio(*args)` first."""
        original = getattr(owner, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            place = calling_line()
            if place is not None:
                found = ratio(*args, **kwargs)
                if found is not None:
                    self.note(found, place)
                if name == "__eq__" and would_pass_zero(*args):
                    self.blind.setdefault(place, running_test())
            return original(*args, **kwargs)

        self._restore.append((owner, name, original))
        setattr(owner, name, watched)

    def pytest_configure(self) -> None:
        """Before test modules are imported, so that names they import are the wrapped ones."""
        self.wrap(np.testing, "assert_allclose", ratio_of_allclose)
        self.wrap(type(pytest.approx(0.0)), "__eq__", ratio_of_approx)  # all others compare entry by entry
        self.wrap(helpers, "assert_close", ratio_of_assert_close)
        self.wrap(helpers, "assert_mean", ratio_of_assert_mean)
        self.wrap(helpers, "assert_same_mean", ratio_of_assert_same_mean)

    def pytest_unconfigure(self) -> None:
        """Puts the originals back."""
        for owner, name, original in reversed(self._restore):
            setattr(owner, name, original)

    def pytest_assertion_pass(self, item: pytest.Item, lineno: int, orig: str, expl: str) -> None:
        """A plain assertion that a difference is below a number."""
        found = TWO_NUMBERS.match(expl.splitlines()[0]) if DIFFERENCE.search(orig) else None
        try:
            small, large = (float(BARE.sub(r"\1", text)) for text in found.groups()) if found else (1.0, 0.0)
        except ValueError:  # not two numbers
            return
        if 0 <= small <= large:
            self.note(small / large if large else 0.0, f"{item.path}:{lineno}", source=orig)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """The list, nearest first."""
        terminalreporter.section(f"{self.shown} comparisons nearest to their tolerance")
        ordered = sorted(self.nearest.items(), key=lambda entry: -entry[1].ratio)
        for place, (ratio, test, sampled) in ordered[: self.shown]:
            mark = "sampled" if sampled else ""
            terminalreporter.line(f"{ratio:9.2e}  {mark:7}  {os.path.relpath(place, HERE)}  {test}")
        if self.blind:
            terminalreporter.section(f"{len(self.blind)} lines whose tolerance is as large as the number expected")
        for place, test in sorted(self.blind.items()):
            terminalreporter.line(f"{os.path.relpath(place, HERE)}  {test}")


def running_test() -> str:
    """Name and parameters of the test that is running."""
    return os.environ.get("PYTEST_CURRENT_TEST", "import").split("::", 1)[-1].rsplit(" (", 1)[0]


def would_pass_zero(approx: Any, actual: Any) -> bool:
    """Whether the number expected is not 0 and yet within its own tolerance of 0."""
    numbers = all(isinstance(x, int | float | np.number) and np.isfinite(x) for x in (actual, approx.expected))
    return numbers and 0 < abs(approx.expected) <= approx.tolerance


def ratio_of_allclose(actual: Any, desired: Any, rtol: float = 1e-7, atol: float = 0.0, **_: Any) -> float | None:
    """That of |actual - desired| ≤ atol + rtol |desired|."""
    actual, desired = np.asarray(actual), np.asarray(desired)
    if not all(np.issubdtype(part.dtype, np.number) for part in (actual, desired)):
        return None
    finite = np.isfinite(desired)
    desired = np.where(finite, desired, 0.0)
    return worst_ratio(np.where(finite, actual - desired, 0.0), atol + rtol * np.abs(desired))


def ratio_of_approx(approx: Any, actual: Any) -> float | None:
    """That of a scalar; arrays, lists and mappings arrive here entry by entry."""
    if not all(isinstance(x, int | float | np.number) and np.isfinite(x) for x in (actual, approx.expected)):
        return None
    return worst_ratio(actual - approx.expected, approx.tolerance)


def ratio_of_assert_close(actual: Any, expected: Any, relative: float = 1e-11) -> float | None:
    """Beside the largest entry expected."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        return None
    scale = max(float(np.abs(expected).max(initial=0.0)), 1e-300)
    return worst_ratio(actual - expected, relative * scale)


def ratio_of_assert_mean(samples: Any, expected: Any, z: float = 6.0) -> float:
    """Beside z standard errors."""
    samples = np.asarray(samples)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return worst_ratio(samples.mean(axis=0) - expected, z * error + 1e-12)


def ratio_of_assert_same_mean(first: Any, second: Any, z: float = 6.0) -> float:
    """Beside z standard errors of the difference."""
    first, second = np.asarray(first), np.asarray(second)
    error = np.sqrt(first.var(axis=0, ddof=1) / len(first) + second.var(axis=0, ddof=1) / len(second))
    return worst_ratio(first.mean(axis=0) - second.mean(axis=0), z * error + 1e-12)
