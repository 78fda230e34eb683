"""The exit status of every command in every bad ending, and one line for each; `test_fresh_processes` has more."""

import errno
import inspect
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import jax
import pytest
from command_line import INNER, Bare, here, red_baseline, run_with
from ledger import document

from icl_theory.core import checks
from icl_theory.records.environment import environment as recorded_environment
from icl_theory.records.files import write_json
from icl_theory.report.terminal import console

LONG = ("verify", "train", "bounds")


@pytest.fixture
def typed(tmp_path: Path) -> dict[str, tuple[str, ...]]:
    """A complete command line of every command."""
    file = write_json(tmp_path / "counterexample.json", {})
    words = {"verify": ("--claims", "lemma_2"), "explain": ("lemma_1",), "recheck": (str(file),)}
    return {name: (name, *words.get(name, ())) for name in INNER}


def raising(error: BaseException) -> Any:
    def work(*_: object, **__: object) -> None:
        raise error.with_traceback(None)

    return work


FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere/records.json")
ENDINGS = {
    "refusal": (
        checks.error("one name", "-1", "a whole number", "pass one"),
        2,
        ("error: one name: got -1, expected",),
    ),
    "full disk": (FULL, 2, ("error: output: got", "No space left", "records.json", "expected")),
    "no permission": (PermissionError(errno.EACCES, "Permission denied", "x"), 2, ("error: output: got", "'x'")),
    "a stream": (OSError(errno.ENOSPC, "No space left on device"), 2, ("error: output: got No space left",)),
    "memory": (MemoryError("Unable to allocate 9 TiB"), 2, ("error: memory: got", "9 TiB", "expected")),
    "interrupt": (KeyboardInterrupt(), 130, ("interrupted",)),
    "broken pipe": (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, ()),
    "a driver": (
        RuntimeError("Unable to initialize\n backend"),
        70,
        ("unexpected RuntimeError (Unable to initialize back",),
    ),
    "assertion": (AssertionError(), 70, ("unexpected AssertionError",)),
    "shapes": (ValueError("operands could not be broadcast together"), 70, ("unexpected ValueError (operands",)),
    "no asset": (FileNotFoundError(errno.ENOENT, "No such file", "page.css"), 70, ("unexpected FileNotFoundError",)),
    "recursion": (RecursionError("maximum recursion depth exceeded"), 70, ("unexpected RecursionError",)),
    "exit": (SystemExit(1), 70, ("unexpected SystemExit (1)",)),
    "exit 0": (SystemExit(0), 70, ("unexpected SystemExit (0)",)),
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", INNER)
def test_what_ends_a_command(
    monkeypatch: pytest.MonkeyPatch, typed: dict[str, tuple[str, ...]], name: str, ending: str
) -> None:
    """Status, and one line that says what happened and, where nobody foresaw it, where in the package."""
    error, status, words = ENDINGS[ending]
    monkeypatch.setattr(INNER[name], raising(error))
    done = here(*typed[name])
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    said = [line for line in done.stderr.splitlines() if line and "processors)" not in line]
    assert len(said) == (1 if words else 0)
    for word in words:
        assert word in said[0]
    if status == 70:
        assert re.search(r"at icl_theory/cli/(experiment_)?commands\.py:", said[0])
        assert said[0].endswith("set ICL_TRACEBACK=1 to see the traceback")


def test_unexpected_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below it lies only the library that failed: here the backend of jax."""
    monkeypatch.setattr(jax, "devices", raising(RuntimeError("no " + "driver " * 200)))
    done = here("bounds", "--model", "optimum")
    assert done.returncode == 70
    [line] = done.stderr.splitlines()
    source, first = inspect.getsourcelines(recorded_environment)
    place = line.split(" at ")[1].split(";")[0]
    assert place.startswith("icl_theory/records/environment.py:")
    assert first < int(place.split(":")[1]) < first + len(source)
    assert len(line) < 600  # a foreign message can be as long as a page
    assert "no driver" in line


def test_traceback_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    """The traceback is shown only on demand."""
    monkeypatch.setattr(jax, "devices", raising(RuntimeError("no driver")))
    for value in ("", "0"):
        assert here("bounds", ICL_TRACEBACK=value).stderr.count("\n") == 1
    done = here("bounds", ICL_TRACEBACK="1")
    assert done.returncode == 70
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-2] == "RuntimeError: no driver"
    assert lines[-1].startswith("icl-theory: unexpected RuntimeError (no driver)")


@pytest.mark.parametrize("name", INNER)
def test_unknown_option(name: str) -> None:
    """An unknown option and a bad value."""
    file = ("file.json",) if name == "recheck" else ()
    assert "--no-such-option" in red_baseline(here(name, *file, "--no-such-option"))
    options = {
        "verify": "--seed",
        "train": "--dim",
        "bounds": "--noise-std",
        "search": "--prompts",
        "figures": "--seed",
    }
    options["grid"] = "--profile"
    if name in options:
        assert options[name] in red_baseline(here(name, options[name], "many"))
    else:
        assert "two" in red_baseline(here(name, "one", "two"))


@pytest.mark.parametrize("words", [("verify", "--baseline"), ("recheck",)])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "make it first"),
        (b"no json", "a JSON document"),
        (b"", "a JSON document"),
        (b"\xff\xfe\x00", "a JSON document"),
        (b"[" * 100_000, "nested too deep"),
        (b"[]", "another kind"),
        (b'"text"', "another kind"),
        (b'{"format": 2}', "another kind"),
    ],
)
def test_bad_file(tmp_path: Path, words: tuple[str, ...], content: bytes | None, said: str) -> None:
    """A file that is missing or no document."""
    path = tmp_path / "file.json"
    if content is not None:
        path.write_bytes(content)
    assert said in red_baseline(here(*words, str(path)))
    assert "Is a directory" in red_baseline(here("recheck", str(tmp_path)))


@pytest.mark.parametrize("name", INNER)
def test_closed_stdout(monkeypatch: pytest.MonkeyPatch, typed: dict[str, tuple[str, ...]], name: str) -> None:
    """A closed standard output is an error before anything is done."""
    monkeypatch.setattr(INNER[name], raising(AssertionError("it was done")))
    for words in (typed[name], (name, "--help"), ("--version",)):
        error = io.StringIO()
        assert run_with(None, error, *words) == 2
        assert error.getvalue().startswith("icl-theory: error: standard output: got a closed stream, expected")
        assert error.getvalue().count("\n") == 1


def test_closed_stderr() -> None:
    """What is printed to a stream that is None goes to standard output, into the middle of a JSON document."""
    out = io.StringIO()
    assert run_with(out, None, "bounds", "--model", "optimum", "--ranks", "1", "--samples", "16", "--json") == 0
    assert json.loads(out.getvalue())["configuration"]["model"] == "optimum"
    for words in (("verify", "--claims", "none"), ("verify", "--seed", "x"), ("nonsense",)):
        out = io.StringIO()
        assert run_with(out, None, *words) == 2
        assert out.getvalue() == ""


@pytest.mark.parametrize(
    "words", [("explain", "lemma_1"), ("explain", "--json"), ("--version",), ("train", "--help"), ("--help",)]
)
def test_full_disk_stdout(words: tuple[str, ...]) -> None:
    """A full disk behind standard output."""
    error = io.StringIO()
    with open("/dev/full", "w", encoding="utf-8") as full:
        assert run_with(full, error, *words) == 2
    assert error.getvalue().startswith("icl-theory: error: output: got No space left on device, expected")
    assert error.getvalue().count("\n") == 1


@pytest.mark.parametrize("json_wanted", [True, False])
def test_full_disk_table(monkeypatch: pytest.MonkeyPatch, json_wanted: bool) -> None:
    """A full disk behind the table."""

    class Found(Bare):
        records = document()

    monkeypatch.setattr(INNER["verify"], lambda *_, **__: Found)
    with open("/dev/full", "w", encoding="utf-8") as full:
        words = ("verify", "--claims", "lemma_2", *(("--json",) if json_wanted else ()))
        assert run_with(full, io.StringIO(), *words) == 2


@pytest.mark.parametrize("json_wanted", [True, False])
def test_full_disk_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, json_wanted: bool) -> None:
    """The results of minutes are shown before their files are written."""

    class Found(Bare):
        records = document()
        outcomes = ()

    monkeypatch.setattr(INNER["verify"], lambda *_, **__: Found)
    monkeypatch.setattr("icl_theory.runs.verify.write", raising(FULL))
    done = here("verify", "--claims", "lemma_2", "--out", str(tmp_path), *(("--json",) if json_wanted else ()))
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "8 claims: " in done.stdout if not json_wanted else json.loads(done.stdout)["claims"]


def test_full_disk_stderr() -> None:
    """A full disk behind standard error."""
    short = ("bounds", "--model", "optimum", "--ranks", "1", "--samples", "16")
    for words in (("verify", "--claims", "none"), short, ("verify", "--seed", "x"), ("verify", "lemma_1")):
        with open("/dev/full", "w", encoding="utf-8") as full:
            assert run_with(io.StringIO(), full, *words) == 2


@pytest.fixture
def gone() -> Any:
    """A stream whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as stream:
        yield stream


def test_table_without_reader(monkeypatch: pytest.MonkeyPatch, gone: Any) -> None:
    """rich would end the process with status 1, which means something else."""

    class Found(Bare):
        records = document()

    monkeypatch.setattr(INNER["verify"], lambda *_, **__: Found)
    error = io.StringIO()
    assert run_with(gone, error, "verify", "--claims", "lemma_2") == 141
    assert [line for line in error.getvalue().splitlines() if "processors)" not in line] == []


def test_text_without_reader(gone: Any) -> None:
    """Text whose reader has gone."""
    error = io.StringIO()
    assert run_with(gone, error, "explain", "lemma_1") == 141
    assert error.getvalue() == ""


def test_progress_without_reader(gone: Any) -> None:
    """A progress whose reader has gone."""
    assert run_with(io.StringIO(), gone, "bounds", "--model", "optimum", "--ranks", "1", "--samples", "16") == 141


def test_bar_without_reader(monkeypatch: pytest.MonkeyPatch, gone: Any) -> None:
    """A bar whose reader has gone."""
    monkeypatch.setattr(sys, "stderr", gone)
    monkeypatch.setattr(gone, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with pytest.raises(BrokenPipeError), console.LiveProgress():
        pass
    os.dup2(os.open(os.devnull, os.O_WRONLY), gone.fileno())


def test_console_broken_pipe(monkeypatch: pytest.MonkeyPatch, gone: Any) -> None:
    """A console passes a broken pipe on."""
    monkeypatch.setattr(sys, "stdout", gone)
    with pytest.raises(BrokenPipeError):
        console.show("a line")
    os.dup2(os.open(os.devnull, os.O_WRONLY), gone.fileno())  # what is left in the buffer


def test_error_names_the_file(tmp_path: Path) -> None:
    """A full disk names no file by itself."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="File exists") as caught:
        write_json(tmp_path / "file" / "records.json", {})
    assert caught.value.filename == str(tmp_path / "file" / "records.json")
