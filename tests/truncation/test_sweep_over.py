"""The sweep over b, N or depth; its table; and the journal of a sweep in Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icl_theory import LinearRegression, random_weights, rank_sweep, sweep
from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.records.sweep_records import SweepRecords

TASK = LinearRegression(2, noise_std=0.5)
MODEL = random_weights(3, layers=2, token_dim=3, scale=0.6)
USUAL: dict[str, Any] = {"clip": 4.0, "samples": 16, "tasks": 2, "key": 1}


@pytest.mark.parametrize(
    ("over", "values", "fixed"), [("shots", (4, 8), "demonstrations"), ("demonstrations", (20, 30), "shots")]
)
def test_over_numbers(over: Any, values: tuple[int, ...], fixed: str) -> None:
    """At every value the entries of `rank_sweep` for the untouched model."""
    options: dict[str, Any] = {**USUAL, fixed: {"demonstrations": 20, "shots": 4}[fixed]}
    found = sweep(MODEL, TASK, over=over, values=values, **options)
    for value in values:
        at: dict[str, Any] = {**options, over: value}
        own = rank_sweep(MODEL, TASK, **at, layer_indices=[0], ranks=[3])
        assert [entry for entry in found if entry[over] == value] == own
    assert len(found) == len(values) * 2


def test_over_depth() -> None:
    """The first layers of a model, and of every member of an ensemble."""
    options: dict[str, Any] = {**USUAL, "demonstrations": 20, "shots": 4}
    found = sweep(MODEL, TASK, over="depth", values=(1, 2), **options)
    for depth in (1, 2):
        own = rank_sweep(MODEL.first_layers(depth), TASK, **options, layer_indices=[0], ranks=[3])
        assert [entry["gap"] for entry in found if entry["depth"] == depth] == [entry["gap"] for entry in own]
    both = type(MODEL)(*(np.stack([m, 0.5 * m]) for m in (MODEL.value, MODEL.key, MODEL.query)))
    shallow = sweep(both, TASK, over="depth", values=(1,), **options)
    assert [e["gap"] for e in shallow if e["seed"] == 0] == [e["gap"] for e in found if e["depth"] == 1]
    with pytest.raises(ValueError, match="values: got 3"):
        sweep(MODEL, TASK, over="depth", values=(3,), **options)


def test_over_rank() -> None:
    """Under another name the sweep of one layer over ranks."""
    options: dict[str, Any] = {**USUAL, "demonstrations": 20, "shots": 4}
    assert sweep(MODEL, TASK, over="rank", values=(3, 1), **options) == rank_sweep(
        MODEL, TASK, ranks=(3, 1), layer_indices=[0], **options
    )


@pytest.mark.parametrize(
    ("over", "values", "more", "said"),
    [
        ("shots", (), {}, "values: got none"),
        ("shots", (4,), {"shots": 3}, "shots: got 3 as an option"),
        ("rank", (1,), {"ranks": (2,)}, "ranks: got"),
        ("width", (1,), {}, "over: got 'width'"),
        ("shots", (20,), {"demonstrations": 20}, "shots: got 20"),
    ],
)
def test_refused(over: Any, values: Any, more: dict[str, Any], said: str) -> None:
    """What is swept over is no option, and there is something to sweep over."""
    options = {**USUAL, "demonstrations": 20, **more}
    with pytest.raises(ValueError, match=said):
        sweep(MODEL, TASK, over=over, values=values, **options)


def test_frame() -> None:
    """The table has the numbers of the entries; what one of them does not have is NaN."""
    options: dict[str, Any] = {**USUAL, "demonstrations": 20, "shots": 4}
    entries = rank_sweep(MODEL, TASK, **options, layer_indices=[1])
    frame = entries.frame()
    assert len(frame) == len(entries) == len(entries.rows())
    assert frame["gap"].tolist() == [entry["gap"]["value"] for entry in entries]
    assert frame["bound_readout"].tolist() == [entry["rungs"]["readout"]["value"] for entry in entries]
    assert frame["rank"].dtype.kind == "i"
    mixed = SweepRecords([*entries[:1], entries[1] | {"depth": 2}]).frame()
    assert np.isnan(mixed["depth"]).tolist() == [True, False]
    with pytest.raises(ValueError, match="records: got none"):
        SweepRecords().frame()


def test_journal(tmp_path: Path) -> None:
    """A call that was broken off goes on, with equal numbers; other weights, tasks, keys or sizes are refused."""
    options: dict[str, Any] = {**USUAL, "demonstrations": 20, "shots": 4, "layer_indices": [0]}
    whole, path = rank_sweep(MODEL, TASK, **options), tmp_path / "entries.jsonl"

    def stop(_text: str, done: int, _total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank_sweep(MODEL, TASK, **options, journal=path, progress=stop)
    assert len(path.read_text().splitlines()) == 3  # settings and two entries
    assert rank_sweep(MODEL, TASK, **options, journal=path) == whole
    before = path.read_bytes()
    assert rank_sweep(MODEL, TASK, **options, journal=path) == whole
    assert path.read_bytes() == before
    key = MODEL.replace(key=2 * MODEL.key)
    assert fingerprint_of(key) != fingerprint_of(MODEL)
    for model, task, more in (
        (key, TASK, {}),
        (MODEL, LinearRegression(2, noise_std=0.4), {}),
        (MODEL, TASK, {"key": 2}),
        (MODEL, TASK, {"samples": 32}),
    ):
        with pytest.raises(ValueError, match="the settings of the interrupted run"):
            rank_sweep(model, task, **{**options, **more}, journal=path)
    with pytest.raises(ValueError, match="journal: got also finished or keep"):
        rank_sweep(MODEL, TASK, **options, journal=path, keep=print)
    several = sweep(MODEL, TASK, over="shots", values=(4, 8), **USUAL, demonstrations=20, journal=path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "entries.jsonl",
        "entries_shots_4.jsonl",
        "entries_shots_8.jsonl",
    ]
    assert [entry["shots"] for entry in several] == [4, 4, 8, 8]
