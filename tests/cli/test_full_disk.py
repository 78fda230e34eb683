"""A disk that is full at the last file: one line, the result is shown or kept, and the same command goes on."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from command_line import here

BOUNDS = ("bounds", "--model", "random", "--dim", "2", "--samples", "16", "--tasks", "1", "--seeds", "1")
TRAIN = ("train", "--dim", "2", "--seeds", "2", "--steps", "20", "--shots", "4")


def full(*_given: Any, **_named: Any) -> None:
    """What a write raises on a full disk."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("last", ["icl_theory.records.files.write_json", "icl_theory.records.files.write_bytes"])
def test_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, last: str) -> None:
    """The table has been printed; --resume computes nothing again and writes what is missing."""
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(last, full)
        done = here(*BOUNDS, "--out", str(out))
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "icl-theory: error: output: got No space left on device, expected a place that can be written; "
        "free some space or name another place.",
    )
    assert "Means over 1 seed and 1 task" in done.stdout
    entries = (out / "entries.jsonl").read_bytes()
    again = here(*BOUNDS, "--out", str(out), "--resume", "--json")
    assert again.returncode == 0, again.stderr
    assert (out / "entries.jsonl").read_bytes() == entries
    assert json.loads((out / "records.json").read_text())["sweep"] == json.loads(again.stdout)["sweep"]


def test_train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The weights cannot be written: the checkpoints are there, and --resume ends the run without training again."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    with monkeypatch.context() as patch:
        patch.setattr("icl_theory.models.files.save_model", full)
        done = here(*TRAIN, "--out", str(out))
    assert (done.returncode, done.stdout) == (2, "")
    assert "No space left on device" in done.stderr.splitlines()[-1]
    assert not (out / "weights.npz").exists()
    metrics = (out / "metrics.jsonl").read_bytes()
    assert here(*TRAIN, "--out", str(out), "--resume").returncode == 0
    assert here(*TRAIN, "--out", str(whole)).returncode == 0
    assert (out / "weights.npz").read_bytes() == (whole / "weights.npz").read_bytes()
    assert (out / "metrics.jsonl").read_bytes() == metrics
