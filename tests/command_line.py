"""The command under test: in this process, or in a fresh one without the variables of whoever runs the tests."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import matplotlib
import pytest

from icl_theory.cli.main import main
from icl_theory.report.terminal import console

ONE_LINE = "icl-theory: error: "
KEPT = {
    *("PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    *("SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "JAX_PLATFORMS", "CUDA_VISIBLE_DEVICES"),
    *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE"),
}
"""What a process needs to start and to compute as this one does; everything else is ours to say."""
SHOWN = ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "ICL_TRACEBACK")
"""Variables that change what the command prints in this process."""


def environment(cache: Path, **more: str) -> dict[str, str]:
    """The variables of a fresh process: those in `KEPT`, its own cache and home, and `more`."""
    figures = cache / "matplotlib"
    if cache.is_dir() and not figures.exists():
        figures.mkdir()
        for fonts in Path(matplotlib.get_cachedir()).glob("fontlist-*.json"):  # looking for fonts takes seconds
            shutil.copy(fonts, figures)
    kept = {name: value for name, value in os.environ.items() if name in KEPT}
    own = {"HOME": str(cache), "XDG_CACHE_HOME": str(cache), "MPLCONFIGDIR": str(figures), "PYTHONIOENCODING": "utf-8"}
    return {**kept, **own, **more}


def fresh(cache: Path, *arguments: str, where: Path | None = None, **more: str) -> subprocess.CompletedProcess[str]:
    """The command in a fresh process, in the directory `where`."""
    return subprocess.run(
        [sys.executable, "-m", "icl_theory", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
        env=environment(cache, **more),
        cwd=where,
    )


def fresh_into(stream: TextIO, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a fresh process whose standard output is a file of ours."""
    return subprocess.run(
        [sys.executable, "-m", "icl_theory", *arguments],
        stdout=stream,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        timeout=300,
        check=False,
        env=environment(cache),
    )


def here(*arguments: str, encoding: str = "utf-8", **more: str) -> subprocess.CompletedProcess[str]:
    """The command in this process, with streams in that encoding and without its compilation cache."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2))
    status = run_with(out, err, *arguments, **more)
    texts = [stream.detach().getvalue().decode(encoding) for stream in (out, err)]  # pyright: ignore
    return subprocess.CompletedProcess(arguments, status, *texts)


def run_with(out: TextIO | None, err: TextIO | None, *arguments: str, **more: str) -> int:
    """The exit status of the command in this process, with these streams (None: closed)."""
    with pytest.MonkeyPatch.context() as patch:
        for name in SHOWN:
            patch.delenv(name, raising=False)
        for name, value in more.items():
            patch.setenv(name, value)
        patch.setattr(console, "use_cache", lambda: None)  # it would change jax's settings for the other tests
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        return main(arguments)


def red_baseline(done: subprocess.CompletedProcess[str]) -> str:
    """The single line that an error of input puts on standard error."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(ONE_LINE)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


INNER = {
    "verify": "icl_theory.runs.verify.run",
    "train": "icl_theory.runs.train.run",
    "bounds": "icl_theory.runs.bounds.run",
    "search": "icl_theory.runs.search.run",
    "grid": "icl_theory.runs.grid.document_of",
    "figures": "icl_theory.runs.figures.caption_of",
    "explain": "icl_theory.report.terminal.explain.explain_text",
    "recheck": "icl_theory.claims.recheck.recheck",
}
"""What does the work of each command."""


class Bare:
    """What a command that never gets to its work returns nothing of."""

    sound, records, changes = True, {"claims": []}, None
