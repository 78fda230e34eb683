"""Resumed sweeps: the journal, entries taken over, clipping rates, the table of comma-separated values."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import error_message
from rich.console import Console
from schema import problems

from icl_theory import (
    LinearRegression,
    bound_ladder,
    forward_pass_bounds,
    random_weights,
    rank_sweep,
    truncate_weights,
)
from icl_theory.core.numerics import generator
from icl_theory.figures.column import column_figures
from icl_theory.figures.sweep import sweep_figures
from icl_theory.information.ladder.bound_ladder import ladder_of
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.setting import Setting
from icl_theory.records.documents import to_plain
from icl_theory.records.journal import SweepJournal
from icl_theory.records.sweep_csv import sweep_csv
from icl_theory.records.sweep_means import support_at
from icl_theory.report.terminal.sweep_tables import sweep_table
from icl_theory.runs.bounds import prepare, run
from icl_theory.runs.bounds_config import SweepConfig, validate

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])
SWEEP = {"demonstrations": 24, "shots": 6, "clip": 4.0, "samples": 64, "key": 3, "task_vector": W}


@pytest.fixture(scope="module")
def model():
    return random_weights(5, layers=2, token_dim=3, scale=0.6)


@pytest.fixture(scope="module")
def whole(model):
    return rank_sweep(model, TASK, **SWEEP)


def test_finished_entries(model, whole):
    """Finished entries are taken over and the rest is the same."""
    seen = []
    marked = [{**whole[1], "gap": "as it was"}, whole[4]]
    again = rank_sweep(model, TASK, **SWEEP, finished=marked, keep=seen.append)
    assert again[1]["gap"] == "as it was"
    assert [again[i] for i in (0, 2, 3, 4, 5)] == [whole[i] for i in (0, 2, 3, 4, 5)]
    assert seen == [whole[i] for i in (0, 2, 3, 5)]


def test_several_tasks(model):
    """Every task vector has runs of its own, the same for all ranks; the first are those of `bound_ladder`."""
    options: dict[str, Any] = {name: value for name, value in SWEEP.items() if name != "task_vector"}
    found = rank_sweep(model, TASK, **options, tasks=3, layer_indices=[1], ranks=[2])
    assert [record["task"] for record in found] == [0, 1, 2]
    cut, rng, gaps = truncate_weights(model, layer=1, module="value", rank=2), generator(3), []
    for record in found:
        vector, seed = TASK.sample_tasks(rng, 1)[0], int(rng.integers(2**62))
        setting = Setting(cut, TASK, vector, 24, 6)
        ladder = ladder_of(setting, Batches(setting, seed, 64), 4.0, None)
        assert record["gap"]["value"] == pytest.approx(ladder.gap.value, rel=1e-9)
        passes: dict[str, Any] = {"demonstrations": 24, "shots": 6, "clip": 4.0, "samples": 1024}
        forward = forward_pass_bounds(cut, TASK, task_vector=vector, key=seed % 2**31, **passes)
        assert record["forward_pass"]["gap"]["value"] == pytest.approx(forward.gap.value, rel=1e-9)
        assert record["forward_pass"]["rungs"]["wishart"]["value"] == pytest.approx(forward.kl_rungs["wishart"].value)
        gaps.append(ladder.gap.value)
    assert len({round(gap, 9) for gap in gaps}) == 3
    assert len({record["population_risk"]["value"] for record in found}) == 1  # over all tasks
    assert found[0]["gap"]["value"] == pytest.approx(bound_ladder(cut, TASK, **options).gap.value, rel=1e-9)
    with pytest.raises(ValueError, match="also a task_vector"):
        rank_sweep(model, TASK, **SWEEP, tasks=2)


def test_forward_pass_in_doubt():
    """Weights whose product is known to the ladder alone: the sweep goes on without the bounds on the forward pass."""
    model = random_weights(5, layers=1, token_dim=3)
    key = np.array(model.key)
    key[0] = np.diag([1.0, 1e-11, 1.0]) @ key[0]
    graded = model.replace(key=key, query=np.eye(3)[None])
    with pytest.raises(ValueError, match="clearly zero or clearly not"):
        forward_pass_bounds(graded, TASK, demonstrations=24, shots=6, clip=4.0, samples=64)
    [record] = rank_sweep(graded, TASK, **SWEEP, ranks=[2])
    assert "forward_pass" not in record
    assert math.isfinite(record["gap"]["value"])


def test_intervals(whole):
    """Changes carry intervals."""
    for record in whole:
        change = record["change"]["gap"]
        low, high = change["interval"]
        assert (low + high) / 2 == pytest.approx(change["value"], abs=1e-15)
        assert high - low == pytest.approx(2 * 1.96 * change["stderr"], abs=1e-15)
        risk = record["population_risk"]["value"] - whole[2]["population_risk"]["value"]
        assert record["change"]["population_risk"]["value"] == pytest.approx(risk, abs=1e-12)
    assert whole[0]["change"]["path_gaussian"]["value"] < -6 * whole[0]["change"]["path_gaussian"]["stderr"]


def test_nothing_truncated(whole):
    """Nothing truncated changes nothing."""
    full = whole[2]["change"]
    assert {"gap", "population_loss", "population_risk", "sandwich_lower", "individual_sample", "chain"} <= set(full)
    assert max(abs(c[part]) for c in full.values() for part in ("value", "stderr")) < 1e-12  # the SVD's rounding


def test_common_draws():
    """Two layers: the risk is sampled, before and after on the same prompts."""
    cut, full = rank_sweep(random_weights(5, layers=2, token_dim=3, scale=0.3), TASK, **SWEEP, layer_indices=[0])[1:]
    apart = math.hypot(cut["population_risk"]["stderr"], full["population_risk"]["stderr"])
    assert 0 < cut["change"]["population_risk"]["stderr"] < 0.5 * apart


@pytest.mark.slow
def test_paired_ends():
    """One layer of rank 2 against rank 3: the spread of the change over seeds, and how much the pairing saves."""
    model, names = random_weights(5, layers=1, token_dim=3, scale=0.6), ("gap", "path_gaussian", "path_information")
    options = {**SWEEP, "samples": 200}
    runs = [rank_sweep(model, TASK, **{**options, "key": seed}, ranks=[2])[0] for seed in range(600)]
    for name in names:
        spread = np.std([run["change"][name]["value"] for run in runs], ddof=1)
        assert np.mean([run["change"][name]["stderr"] for run in runs]) == pytest.approx(spread, rel=0.1)
    apart = [run["sandwich"]["upper"]["stderr"] for run in runs]
    assert np.mean([run["change"]["path_information"]["stderr"] for run in runs]) < 0.9 * np.mean(apart)


def test_equal_pairs(model):
    """A truncated second layer affords 256 pairs; its change is to the untouched model at 256 pairs as well."""
    options = {**SWEEP, "samples": 300}
    cut = rank_sweep(model, TASK, **options, layer_indices=[1], ranks=[1])[0]
    change = cut["change"]["path_information"]["value"]
    upper = {
        pairs: rank_sweep(model, TASK, **options, layer_indices=[1], ranks=[3], pairs=pairs)[0]["sandwich"]["upper"][
            "value"
        ]
        for pairs in (256, None)
    }
    assert change == pytest.approx(cut["sandwich"]["upper"]["value"] - upper[256], abs=1e-9)
    assert upper[256] != upper[None]


def test_large_sample_value(whole):
    """Large sample value is the sum over layers."""
    for record in whole:
        expected = sum(record["support"]) / 2 * math.log(24 / 18)
        assert record["large_sample"] == pytest.approx(expected)


def test_rates_are_ranks(model, whole):
    """Clipping rates select the ranks they mean; rates that mean rank 0 are errors, and so are both together."""
    by_rate = rank_sweep(model, TASK, **SWEEP, layer_indices=[0], rates=(0.0, 0.1, 0.5, 0.6))
    assert [(r["rank"], r["rate"]) for r in by_rate] == [(3, 0.0), (2, pytest.approx(1 / 3)), (1, pytest.approx(2 / 3))]
    assert by_rate[0] == whole[2]
    assert "rate: got 0.9 for a 3 x 3 matrix" in error_message(lambda: rank_sweep(model, TASK, **SWEEP, rates=[0.9]))
    assert "also ranks" in error_message(lambda: rank_sweep(model, TASK, **SWEEP, rates=[0.5], ranks=[1]))
    assert "also ranks" in error_message(validate, SweepConfig(ranks=(1,), rates=(0.5,)))
    assert "0.95" in error_message(validate, SweepConfig(rates=(0.95,)))


def test_torn_line(tmp_path: Path, whole):
    """Journal survives a torn line and keeps infinities."""
    path, settings = tmp_path / "entries.jsonl", {"seed": 0, "ranks": (1, 2)}
    journal = SweepJournal(path, settings, resume=False)
    journal.add(whole[0])
    journal.add(whole[1])
    with path.open("ab") as file:
        file.write(b'{"seed": 0, "lay')  # what a crash leaves
    back = SweepJournal(path, settings, resume=True)
    assert back.finished == whole[:2]
    assert back.finished[0]["rungs"]["theorem_2_printed"]["value"] == math.inf
    back.add(whole[2])
    assert [json.loads(line)["rank"] for line in path.read_text().splitlines()[1:]] == [1, 2, 3]
    assert SweepJournal(path, settings, resume=True).finished == whole[:3]


def test_torn_first_line(tmp_path: Path):
    """Journal cut in its first line starts again."""
    path = tmp_path / "entries.jsonl"
    path.write_bytes(b'{"format"')
    assert SweepJournal(path, {"seed": 0}, resume=True).finished == []
    assert json.loads(path.read_text()) == {"format": 4, "seed": 0}


def test_foreign_journal(tmp_path: Path):
    """The journal rejects what is not its own."""
    path = tmp_path / "entries.jsonl"
    SweepJournal(path, {"seed": 0, "clip": 4.0}, resume=False)
    before = path.read_bytes()
    message = error_message(SweepJournal, path, {"seed": 1, "clip": 4.0}, resume=True)
    assert "seed 1 (saved: 0)" in message
    assert "clip" not in message
    path.write_text('{"other": 1}\n')
    assert "another kind" in error_message(SweepJournal, path, {"seed": 0}, resume=True)
    path.write_text('{"format": 4, "seed": 0}\nnot json\n')
    assert "no JSON" in error_message(SweepJournal, path, {"seed": 0}, resume=True)
    assert before.startswith(b'{"format": 4')


def test_resumed_run(tmp_path: Path):
    """A run resumed in its directory equals an uninterrupted one."""
    config = SweepConfig(model="random", dim=2, demonstrations=24, shots=6, seeds=2, samples=32)
    whole = run(config)["sweep"]
    out = prepare(config, tmp_path / "run", overwrite=False, resume=False)
    assert run(config, out=out)["sweep"] == whole
    lines = (out / "entries.jsonl").read_bytes().splitlines(keepends=True)
    (out / "entries.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:20])
    assert run(config, out=prepare(config, out, overwrite=False, resume=True), resume=True)["sweep"] == whole
    assert (out / "entries.jsonl").read_bytes() == b"".join(lines)
    assert "also overwrite" in error_message(prepare, config, out, overwrite=True, resume=True)
    assert prepare(config, tmp_path / "elsewhere", overwrite=False, resume=True).is_dir()  # it starts there
    (tmp_path / "elsewhere" / "notes.txt").touch()
    assert "not empty" in error_message(prepare, config, tmp_path / "elsewhere", overwrite=False, resume=True)


def test_overwriting(tmp_path: Path):
    """Overwriting starts from nothing."""
    config = SweepConfig(model="random", dim=2, demonstrations=24, shots=6, seeds=1, samples=32, ranks=(1,))
    out = prepare(config, tmp_path / "run", overwrite=False, resume=False)
    run(config, out=out)
    prepare(config, out, overwrite=True, resume=False)
    assert list(out.iterdir()) == []


def test_table_of_values(whole):
    """One line per entry, with the numbers of the records."""
    text = sweep_csv(to_plain(whole))
    assert "\r" not in text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(whole)
    for row, record in zip(rows, whole, strict=True):
        assert (row["module"], int(row["rank"])) == (record["module"], record["rank"])
        assert row["support"] == " ".join(map(str, record["support"]))
        assert float(row["gap"]) == record["gap"]["value"]
        assert float(row["bound_gaussian"]) == record["rungs"]["gaussian"]["value"]
        assert float(row["information_path_gaussian_stderr"]) == record["information"]["path_gaussian"]["stderr"]
        assert float(row["change_gap"]) == record["change"]["gap"]["value"]
        assert row["bound_theorem_2_printed"] == "inf"
        assert row["saturated"] == str(record["sandwich"]["saturated"]).lower()
    assert "none" in error_message(sweep_csv, [])


def test_heads_and_mlp(tmp_path: Path):
    """The MLP is a module of its own; the weights come back from the directory as they were."""
    options = {"dim": 2, "heads": 2, "hidden": 2, "seeds": 2, "steps": 20, "samples": 32, "ranks": (1,), "tasks": 2}
    config = SweepConfig(modules=("mlp", "all"), **options)
    whole = run(config, out=prepare(config, tmp_path, overwrite=False, resume=False))["sweep"]
    assert [(r["task"], r["seed"], r["module"]) for r in whole] == [
        (task, seed, module) for task in range(2) for seed in range(2) for module in ("mlp", "all")
    ]
    (tmp_path / "entries.jsonl").write_text((tmp_path / "entries.jsonl").read_text().splitlines()[0] + "\n")
    assert run(config, out=prepare(config, tmp_path, overwrite=False, resume=True), resume=True)["sweep"] == whole


def test_bad_combinations():
    """Modules and models that do not go together."""
    assert "pass --hidden" in error_message(validate, SweepConfig(modules=("mlp",)))
    assert "heads: got 2 with a random model" in error_message(validate, SweepConfig(model="random", heads=2))
    assert "from 0 to 3" in error_message(validate, SweepConfig(modules=("value", "mlp"), hidden=3, ranks=(5,)))
    validate(SweepConfig(modules=("value",), hidden=3, ranks=(5,)))


def test_several_layers_at_once(model: Any) -> None:
    """An entry is that of weights whose layers are truncated beforehand; the smallest components are an option."""
    options: dict[str, Any] = {**SWEEP, "samples": 32, "ranks": [1], "together": True, "modules": ("value", "key")}
    for components in ("largest", "smallest"):
        entries = rank_sweep(model, TASK, **options, components=components)
        assert [(entry["layer"], entry["module"]) for entry in entries] == [("0+1", "value"), ("0+1", "key")]
        for entry in entries:
            cut = truncate_weights(model, layer=[0, 1], module=entry["module"], rank=1, components=components)
            ladder = bound_ladder(cut, TASK, **{**SWEEP, "samples": 32})
            assert entry["support"] == list(ladder.support)
            assert support_at(entry) == sum(ladder.support)
            assert entry["gap"]["value"] == pytest.approx(ladder.gap.value, rel=1e-9)
            assert entry["change"]["gap"]["value"] != 0
    assert "at least two" in error_message(rank_sweep, model, TASK, **options, layer_indices=[1])


def test_layers_at_once_on_the_page(tmp_path: Path) -> None:
    """The command's records, table and figures hold it under the names of its layers."""
    config = SweepConfig(
        model="random",
        dim=2,
        layers=2,
        demonstrations=24,
        shots=6,
        seeds=1,
        samples=32,
        tasks=1,
        ranks=(1,),
        together=True,
    )
    validate(config)
    records = run(config)
    assert [problems(entry, "sweep") for entry in records["sweep"]] == [[]]
    assert next(csv.DictReader(io.StringIO(sweep_csv(records["sweep"]))))["layer"] == "0+1"
    assert [path.name for path in column_figures(records["sweep"], tmp_path)] == ["column_value_0+1.pdf"]
    console = Console(file=io.StringIO(), width=200)
    console.print(sweep_table(records["sweep"]))
    assert "value 0+1" in console.file.getvalue()  # pyright: ignore
    assert all(path.is_file() for path in sweep_figures(records["sweep"], tmp_path))
    assert "at least two" in error_message(validate, replace(config, layer_indices=(1,)))
