"""Journals of JSON lines: what a crash leaves, what is cut off, and what is an error."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from helpers import error_message

from icl_theory.records.journal import Journal, require_same

SETTINGS = {"format": 1, "seed": 0, "clip": 4.0}
LINES = [{"step": 10, "loss": 0.1}, {"step": 20, "loss": float("inf")}, {"step": 30, "loss": "µ"}]
WRITTEN = [*LINES[:1], {"step": 20, "loss": "inf"}, LINES[2]]


@pytest.fixture(params=[None, SETTINGS], ids=["without settings", "with settings"])
def settings(request: pytest.FixtureRequest) -> dict[str, Any] | None:
    return request.param


def written(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def filled(path: Path, settings: dict[str, Any] | None) -> Journal:
    journal = Journal(path, settings)
    for line in LINES:
        journal.add(line)
    return journal


def test_lines_are_flushed(tmp_path: Path, settings: Any) -> None:
    """Every line is in the file as soon as it is added."""
    path = tmp_path / "deeper" / "lines.jsonl"
    journal, head = Journal(path, settings), [settings] if settings else []
    assert written(path) == head
    for number, line in enumerate(LINES, 1):
        journal.add(line)
        assert written(path) == [*head, *WRITTEN[:number]]
    assert journal.lines == Journal(path, settings).lines == WRITTEN


def test_after_a_crash(tmp_path: Path, settings: Any) -> None:
    """The file cut at every byte: whole lines are read back, and what is added later completes the file."""
    path = tmp_path / "lines.jsonl"
    filled(path, settings)
    whole = path.read_bytes()
    for left in range(len(whole)):
        path.write_bytes(whole[:left])
        journal = Journal(path, settings)
        assert journal.lines == WRITTEN[: len(journal.lines)]
        assert len(journal.lines) == max(whole[:left].count(b"\n") - bool(settings), 0)
        for line in LINES[len(journal.lines) :]:
            journal.add(line)
        assert path.read_bytes() == whole


def test_lines_cut_off(tmp_path: Path, settings: Any) -> None:
    """In a journal that was written and in one that was read back."""
    path = tmp_path / "lines.jsonl"
    for read_back in (False, True):
        for count in (5, 3, 2, 0):
            path.unlink(missing_ok=True)
            journal = filled(path, settings)
            journal = Journal(path, settings) if read_back else journal
            journal.keep(count)
            assert journal.lines == Journal(path, settings).lines == WRITTEN[:count]
            journal.add({"step": 99})
            assert Journal(path, settings).lines == [*WRITTEN[:count], {"step": 99}]


def test_new_journal(tmp_path: Path, settings: Any) -> None:
    """A new journal forgets the old lines."""
    path = tmp_path / "lines.jsonl"
    filled(path, settings)
    assert Journal(path, settings, resume=False).lines == []
    assert Journal(path, settings).lines == []


def test_other_settings(tmp_path: Path) -> None:
    """Other settings are errors with both values of each."""
    path = tmp_path / "lines.jsonl"
    filled(path, SETTINGS)
    before = path.read_bytes()
    message = error_message(Journal, path, SETTINGS | {"seed": 1, "clip": 2.0})
    assert message.startswith("resume: got seed 1 (saved: 0); clip 2.0 (saved: 4.0), expected")
    assert "new 3 (saved: None)" in error_message(Journal, path, SETTINGS | {"new": 3})
    assert "clip None (saved: 4.0)" in error_message(Journal, path, {"format": 1, "seed": 0})
    assert path.read_bytes() == before
    assert "seed 0 (saved: None)" in error_message(require_same, SETTINGS, None)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no json\n", "no JSON"),
        ("[1]\n", "another kind"),
        ('{"other": 1}\n', "another kind"),
        (json.dumps(SETTINGS | {"format": 2}) + "\n", "another kind"),
        (json.dumps(SETTINGS) + "\n[1]\n", "no entry"),
        (json.dumps(SETTINGS) + '\n{"loss": 1}\n', "no entry"),
    ],
)
def test_foreign_file(tmp_path: Path, content: str, words: str) -> None:
    """What is no such journal is an error and left alone."""
    path = tmp_path / "lines.jsonl"
    path.write_text(content, encoding="utf-8")
    message = error_message(Journal, path, SETTINGS, fields=["step"])
    assert f"'lines.jsonl', a file {'of' if words.startswith('another') else 'with'}" in message
    assert words in message
    assert path.read_text(encoding="utf-8") == content


def test_no_half_line(tmp_path: Path) -> None:
    """What a record cannot hold leaves no half line."""
    journal = filled(tmp_path / "lines.jsonl", SETTINGS)
    with pytest.raises(TypeError):
        journal.add({"step": object()})
    assert Journal(tmp_path / "lines.jsonl", SETTINGS).lines == WRITTEN


def test_threads(tmp_path: Path) -> None:
    """Threads may add lines side by side."""
    journal = Journal(tmp_path / "lines.jsonl")

    def work(number: int) -> None:
        for step in range(20):
            journal.add({"thread": number, "step": step})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Journal(tmp_path / "lines.jsonl").lines == journal.lines
    assert len(journal.lines) == 80
    journal.keep(33)
    assert Journal(tmp_path / "lines.jsonl").lines == journal.lines[:33]
