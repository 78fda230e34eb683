"""What a command says beside its results: progress, remarks, warnings, and how wide and in which signs it prints."""

import io
import sys
import warnings
from typing import Any

import pytest
from command_line import SHOWN, here
from ledger import document

from icl_theory.records.environment import environment
from icl_theory.report.terminal import console
from icl_theory.training.checkpoints import CheckpointWarning


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SHOWN:
        monkeypatch.delenv(name, raising=False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Progress is one line in five seconds."""
    now = [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.LiveProgress() as progress:
        for later, text in ((0.0, "first"), (4.9, "too early"), (0.2, "second"), (4.9, "too early"), (9.0, "third")):
            now[0] += later
            progress(text, 2, 7)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == ["  first (2/7)", "  second (2/7)", "  third (2/7)"]


def test_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress on a terminal is a bar."""
    monkeypatch.setattr(sys, "stderr", Terminal())
    with console.LiveProgress() as progress:
        assert progress._bar is not None
        progress("training [red]", 3, 8)
        [task] = progress._bar.tasks
        assert (task.description, task.completed, task.total) == ("training [red]", 3, 8)
    assert progress._bar.finished or not progress._bar.live.is_started


def test_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A remark is one line on standard error."""
    console.log("a word")
    console.log_environment()
    out, err = capsys.readouterr()
    seen = environment()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "icl-theory: a word"
    for word in (seen["icl_theory"], f"jax {seen['jax']} on {seen['device']}", f"{seen['processors']} processors"):
        assert word in lines[1]
    assert f"({seen['devices']} device{'' if seen['devices'] == 1 else 's'}," in lines[1]


def test_logged_warnings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Only warnings about checkpoints become remarks."""
    shown: list[Any] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, category, *_: shown.append((str(message), category)))
    before = warnings.showwarning
    with console.log_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.warn("the checkpoint of step 3", CheckpointWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert warnings.showwarning is before
    assert shown == [("something else", UserWarning)]
    assert capsys.readouterr().err == "icl-theory: the checkpoint of step 3\n"


@pytest.mark.parametrize(
    ("encoding", "greek"), [("utf-8", True), ("ascii", False), ("latin-1", False), ("cp437", False), (None, False)]
)
def test_signs_by_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str | None, greek: bool) -> None:
    """Signs are shown where the encoding has them."""

    class Stream(io.StringIO):
        pass

    Stream.encoding = encoding  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setattr(sys, "stdout", Stream())
    assert console.shows_greek() == greek


def test_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """The width is a hundred unless somebody says otherwise."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert console.output().width == 100
    monkeypatch.setenv("COLUMNS", "63")
    assert console.output().width == 63


def test_no_cut_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    """A line is never cut and nothing is markup."""
    console.show("x" * 300, "[red]ΔW[/red] :smile:")
    assert capsys.readouterr().out.splitlines() == ["x" * 300, "[red]ΔW[/red] :smile:"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_table_is_spelled_first(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """Letters that are spelled out are longer, and columns would be torn if that came after."""

    class Found:
        sound, records, changes = True, document(), None

    monkeypatch.setattr("icl_theory.runs.verify.run", lambda *_, **__: Found)
    text = here("verify", "--claims", "lemma_2", encoding=encoding).stdout
    assert max(map(len, text.splitlines()[:40])) <= 100
    assert ("≤" in text, "<=" in text) == ((True, False) if encoding == "utf-8" else (False, True))
