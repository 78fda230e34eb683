"""Standard output and standard error of a command: results on the one, progress and remarks on the other."""

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from icl_theory.report.terminal.plain_text import set_ascii_fallback

PLAIN_WIDTH = 100
"""Columns of an output that is no terminal, unless COLUMNS says otherwise."""
LINE_SECONDS = 5.0
"""At most one line of progress in this time where no live display is possible."""


def start() -> None:
    """What every long command begins with: streams, the compilation cache, and a word about the device."""
    set_ascii_fallback()
    use_cache()
    log_environment()


def shows_greek() -> bool:
    """Whether standard output can show the letters and signs of the formulas."""
    try:
        "ΔW ≤ Σ ᵀ ½".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class _Stream(Console):
    """A console that passes a broken pipe on, where rich's own would end the process with status 1."""

    def on_broken_pipe(self) -> None:
        raise  # the BrokenPipeError that rich handles when it calls this


def output() -> Console:
    """Standard output, as wide as the terminal."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return _Stream(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def show(*items: RenderableType) -> None:
    """Print tables and lines to standard output; lines are not cut."""
    console = output()
    for item in items:
        console.print(item, soft_wrap=isinstance(item, str))


def log(text: str) -> None:
    """One line on standard error."""
    print(f"icl-theory: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def log_warnings() -> Iterator[None]:
    """Warnings of the package, each as one line without a source position."""
    from icl_theory.training.checkpoints import CheckpointWarning

    with warnings.catch_warnings():
        warnings.simplefilter("always", CheckpointWarning)
        usual = warnings.showwarning

        def show_warning(message: Warning | str, category: type[Warning], *place: Any) -> None:
            if issubclass(category, CheckpointWarning):
                log(str(message))
            else:
                usual(message, category, *place)

        warnings.showwarning = show_warning
        yield


def use_cache() -> None:
    """Keep compiled programs in the user's cache directory; this process only, and never the package's business."""
    import jax

    from icl_theory.core.cache_folders import keep_programs, programs_folder
    from icl_theory.records.files import prepare_directory

    path = jax.config.values.get("jax_compilation_cache_dir") or str(programs_folder())
    if path == str(programs_folder()):
        try:
            prepare_directory(path, overwrite=True)
        except ValueError:
            log(f"{path} cannot be written: going on without a compilation cache")
            return
    keep_programs(path)


def log_environment() -> None:
    """Say on standard error what the run really has: versions and device."""
    from icl_theory.records.environment import environment

    here = environment()
    devices = f"{here['devices']} device{'s' * (here['devices'] != 1)}"
    log(f"{here['icl_theory']}, jax {here['jax']} on {here['device']} ({devices}, {here['processors']} processors)")


class LiveProgress:
    """A callback progress(text, done, total): a live bar on standard error, or a short line now and then."""

    def __init__(self) -> None:
        self._last = -LINE_SECONDS
        self._bar: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> "LiveProgress":
        if sys.stderr.isatty():
            columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
            console = _Stream(file=sys.stderr)
            self._bar = Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
            self._bar.start()
            self._task = self._bar.add_task("starting", total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, text: str, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        if self._bar is not None:
            self._bar.update(self._task, description=text, completed=done, total=total)
        elif time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            print(f"  {text} ({done}/{total})", file=sys.stderr, flush=True)
