"""Files of an interrupted run are gone on with only under the settings that they were made with."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import error_message

from icl_theory import LinearRegression
from icl_theory.records.files import write_json
from icl_theory.records.journal import SweepJournal
from icl_theory.runs.bounds_config import SweepConfig
from icl_theory.runs.directory import metrics_file, prepare
from icl_theory.runs.made_models import kept_weights
from icl_theory.runs.train import own_fields
from icl_theory.runs.train_config import TrainRunConfig

TASK = LinearRegression(2, noise_std=0.5)


def another(value: Any) -> Any:
    """Some other value of the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple | list):
        return [*value, 1]
    return "other" if value is None or isinstance(value, str) else pytest.fail(str(value))


def test_sweep_settings(tmp_path: Path) -> None:
    """Every option, one by one, by name."""
    settings = {field.name: getattr(SweepConfig(), field.name) for field in fields(SweepConfig)}
    SweepJournal(tmp_path / "entries.jsonl", settings, resume=False)
    entry = {"task": 0, "seed": 0, "layer": 0, "module": "value", "rank": 1}
    SweepJournal(tmp_path / "entries.jsonl", settings, resume=True).add(entry)
    for name, value in settings.items():
        message = error_message(
            SweepJournal, tmp_path / "entries.jsonl", settings | {name: another(value)}, resume=True
        )
        assert message.count("(saved:") == 1
        assert message.startswith(f"resume: got {name} ")
    assert "brand_new 1 (saved: None)" in error_message(
        SweepJournal, tmp_path / "entries.jsonl", settings | {"brand_new": 1}, resume=True
    )
    fewer = {name: value for name, value in settings.items() if name != "loss"}
    assert "loss None (saved: clipped_squared)" in error_message(
        SweepJournal, tmp_path / "entries.jsonl", fewer, resume=True
    )
    assert SweepJournal(tmp_path / "entries.jsonl", settings, resume=True).finished == [entry]
    for missing in entry:
        SweepJournal(tmp_path / "other.jsonl", settings, resume=False).add(
            {name: value for name, value in entry.items() if name != missing}
        )
        assert "no entry" in error_message(SweepJournal, tmp_path / "other.jsonl", settings, resume=True)


def test_training_settings(tmp_path: Path) -> None:
    """A training goes on only under the settings it began with."""
    settings = own_fields(TrainRunConfig())
    write_json(tmp_path / "config.json", {"configuration": settings})
    (tmp_path / "checkpoints" / "10").mkdir(parents=True)
    for name, value in settings.items():
        changed = settings | {name: another(value)}
        message = error_message(prepare, changed, str(tmp_path), overwrite=False, resume=True)
        assert message.count("(saved:") == 1
        assert message.startswith(f"resume: got {name} ")
    fewer = {name: value for name, value in settings.items() if name != "tied"}
    error_message(prepare, fewer, str(tmp_path), overwrite=False, resume=True)
    assert prepare(settings, str(tmp_path), overwrite=False, resume=True) == tmp_path


@pytest.mark.parametrize(
    "content", [b"", b"garbage", {"value": np.ones((1, 6, 6))}, {"diverged": np.zeros(0, int)}], ids=str
)
def test_damaged_weights(tmp_path: Path, content: Any) -> None:
    """Not taken for weights, and no advice of numpy's to load them unsafely."""
    if isinstance(content, bytes):
        (tmp_path / "weights.npz").write_bytes(content)
    else:
        np.savez(tmp_path / "weights.npz", **content)
    config = SweepConfig(model="random", dim=2)
    message = error_message(kept_weights, config, TASK, lambda *_: None, tmp_path, True)
    assert "which is damaged" in message
    assert "start it again with --overwrite" in message
    assert "unsafe" not in message


def test_earlier_weights(tmp_path: Path) -> None:
    """Weights of an earlier run are taken only to go on."""
    first, second = (SweepConfig(model="random", dim=2, seeds=2, seed=seed) for seed in (0, 1))

    def value(config: SweepConfig, resume: bool) -> np.ndarray:
        return np.asarray(kept_weights(config, TASK, lambda *_: None, tmp_path, resume)[0].value)

    made = value(first, False)
    np.testing.assert_array_equal(value(first, True), made)
    np.testing.assert_array_equal(value(second, True), made)  # the journal rejects this before
    assert (value(second, False) != made).all()
    (tmp_path / "weights.npz").unlink()
    np.testing.assert_array_equal(value(first, True), made)  # what is missing is made


def test_diverged_members(tmp_path: Path) -> None:
    """Matrices and lost members come back from the file; without `resume` they are made again."""
    config = SweepConfig(model="random", seeds=2)
    made, lost = kept_weights(config, TASK, lambda *_: None, tmp_path, resume=False)
    assert lost == []
    with np.load(tmp_path / "weights.npz") as saved:
        matrices = {name: saved[name] for name in saved if name != "diverged"}
    np.savez(tmp_path / "weights.npz", **matrices, diverged=np.array([3, 5]))
    back, lost = kept_weights(config, TASK, lambda *_: None, tmp_path, resume=True)
    assert lost == [3, 5]
    np.testing.assert_array_equal(back.value, made.value)
    assert kept_weights(config, TASK, lambda *_: None, tmp_path, resume=False)[1] == []


def test_unwritten_lines(tmp_path: Path) -> None:
    """Metrics of a longer run, or a torn last line: what stands after the last line of this run is cut off."""
    with metrics_file(tmp_path) as write:
        for step in (10, 20, 30):
            write({"step": step})
    whole = (tmp_path / "metrics.jsonl").read_bytes()
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 40}\n{"st')
    with metrics_file(tmp_path) as write:
        for step in (10, 20, 30):
            write({"step": step})
    assert (tmp_path / "metrics.jsonl").read_bytes() == whole
