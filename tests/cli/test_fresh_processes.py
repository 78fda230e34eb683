"""The command as a process, once for each exit status; 0 and 2 are in `test_cli`, 0 and 1 in `test_verify_status`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import environment, fresh, fresh_into


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def test_status_70(cache: Path) -> None:
    """Status 70 in a fresh process."""
    done = fresh(cache, "bounds", "--model", "optimum", "--ranks", "1", JAX_PLATFORMS="bogus")
    assert done.returncode == 70
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("icl-theory: unexpected RuntimeError (Unable to initialize backend 'bogus'")


def test_status_141(cache: Path) -> None:
    """Status 141 in a fresh process."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "icl_theory", "explain"],
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
        env=environment(cache),
    )
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 141


def test_status_2_full_disk(cache: Path) -> None:
    """What is still in the buffer must not fail once more at exit, which would be status 120 and two lines more."""
    with open("/dev/full", "w") as full:
        done = fresh_into(full, cache, "--version")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("icl-theory: error: output: got No space left on device")


INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from icl_theory.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""The command as a terminal starts it: what a shell starts in the background inherits an interrupt that is ignored."""


def test_status_130(cache: Path) -> None:
    """Status 130 in a fresh process."""
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "bounds", "--steps", "10000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(cache),
    )
    try:
        assert process.stderr is not None
        while "training" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert rest.strip().splitlines()[-1] == "icl-theory: interrupted"
    assert "Traceback" not in rest


def test_foreign_backend(cache: Path, tmp_path: Path) -> None:
    """A backend of matplotlib that is none, meant for another program, does not end a sweep at its figures."""
    words = ("--model", "random", "--dim", "2", "--samples", "16", "--tasks", "1", "--seeds", "1", "--ranks", "1")
    done = fresh(cache, "bounds", *words, "--out", str(tmp_path / "out"), MPLBACKEND="nonsense")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "bound_versus_rank.pdf").is_file()
