"""`icl-theory search`: the numbers of Algorithm 1, its summary over models by hand, files, resume and figure."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import here
from helpers import error_message
from schema import problems
from scipy import stats

from icl_theory import LinearRegression, load_model, random_weights, save_model, search_clipping_rate
from icl_theory.figures import search_gains
from icl_theory.records.search_records import COMPARED, search_csv, search_summary, shares
from icl_theory.report.terminal.search_table import search_notes
from icl_theory.runs.search import prepare, run
from icl_theory.runs.search_config import SearchConfig, validate

SMALL = SearchConfig(model="random", dim=2, layers=3, shots=6, seeds=3, searches=2, prompts=40, seed=4, module="value")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return run(SMALL)


def test_entries(document: dict[str, Any], tmp_path: Path) -> None:
    """Every entry is a search of that model on prompts that all models share and no two searches do."""
    out = prepare(SMALL, tmp_path / "run", overwrite=False, resume=False)
    assert run(SMALL, out=out)["searches"] == document["searches"]
    models, task = load_model(out / "weights.npz"), LinearRegression(2, noise_std=0.5)
    keys = np.random.default_rng([4, 7]).integers(2**62, size=2)
    assert [(e["seed"], e["search"]) for e in document["searches"]] == [(s, k) for s in range(3) for k in range(2)]
    for entry in document["searches"]:
        options: dict[str, Any] = {"shots": 6, "module": "value", "prompts": 40, "key": int(keys[entry["search"]])}
        found = search_clipping_rate(models.member(entry["seed"]), task, **options)
        assert entry["top"] == list(found.top)
        assert entry["chosen"]["layer"] == found.chosen.layer
        assert entry["chosen"]["rank"] == found.chosen.rank
        assert entry["chosen"]["test_gain"]["value"] == found.chosen.test_gain.value
        assert entry["chosen"]["test_gain"]["interval"] == list(found.chosen.test_gain.interval())
        assert entry["random_layer"]["stderr"] == found.random_layer.stderr
        assert found.in_metric is not None
        assert entry["in_metric"]["test_gain"]["value"] == found.in_metric.test_gain.value
        assert [layer["rank"] for layer in entry["layers"]] == [layer.rank for layer in found.layers]
        assert problems(entry, "search") == []
    assert len({entry["test_loss"]["value"] for entry in document["searches"]}) == 6


def test_every_layer(document: dict[str, Any]) -> None:
    """The choice is the deepest of the top; its gains are those of its rank; a random layer is the mean of all."""
    for entry in document["searches"]:
        own = entry["layers"][entry["chosen"]["layer"]]
        assert own == entry["chosen"]
        assert own["layer"] == max(entry["top"])
        gains = []
        for layer in entry["layers"]:
            place = layer["ranks"].index(layer["rank"])
            assert layer["validation"][place] == layer["validation_gain"]
            assert layer["test"][place] == layer["test_gain"]
            assert layer["validation_gain"]["value"] == max(gain["value"] for gain in layer["validation"])
            gains.append(layer["test_gain"]["value"])
        assert entry["random_layer"]["value"] == pytest.approx(np.mean(gains), rel=1e-12)


def test_summary(document: dict[str, Any]) -> None:
    """Means over searches first; the interval is scipy's own Student interval over the models."""
    for name, path in COMPARED.items():
        shared = np.zeros((3, 2))
        for entry in document["searches"]:
            gain: Any = entry
            for word in path:
                gain = gain[word]
            shared[entry["seed"], entry["search"]] = gain["value"] / entry["test_loss"]["value"]
        means, found = shared.mean(axis=1), document["summary"][name]
        assert found["mean"] == pytest.approx(means.mean(), rel=1e-12)
        low, high = stats.t.interval(0.95, 2, means.mean(), stats.sem(means))
        assert (found["low"], found["high"]) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))
        assert (found["gained"], found["lost"]) == ((means > 0).sum(), (means < 0).sum())
    single = search_summary([entry for entry in document["searches"] if entry["seed"] == 0])
    assert (single["chosen"]["low"], single["chosen"]["models"]) == (None, 1)
    none = [entry | {"in_metric": None} for entry in document["searches"]]
    assert shares(none, "in_metric", "test_gain") is None


def test_words() -> None:
    """Gains of .2, .4 and 0 of the loss in three models: mean, interval and counts as they are said."""
    entries = []
    for seed, value in enumerate((0.1, 0.2, 0.0)):
        gain = {"value": value, "stderr": 0.01, "interval": [0.0, 1.0]}
        loss = {"value": 0.5, "stderr": 0.01, "interval": [0.4, 0.6]}
        layer = {"test_gain": gain, "validation_gain": gain}
        entry = {"seed": seed, "search": 0, "test_loss": loss, "chosen": layer, "random_layer": gain}
        entries.append(entry | {"in_metric": None})
    lines = search_notes({"summary": search_summary(entries)})
    assert len(lines) == 4
    assert "+20.00% (-29.68% to +69.68%; 2 of 3 gained, 0 lost)" in lines[1]


def test_table_of_values(document: dict[str, Any]) -> None:
    """A row for every model, search, layer and rank; one of them is the choice."""
    rows = list(csv.DictReader(io.StringIO(search_csv(document["searches"]))))
    assert len(rows) == 3 * 2 * 3 * 3
    for entry in document["searches"]:
        own = [r for r in rows if (int(r["seed"]), int(r["search"])) == (entry["seed"], entry["search"])]
        [chosen] = [row for row in own if row["chosen"] == "true"]
        assert (int(chosen["layer"]), int(chosen["rank"])) == (entry["chosen"]["layer"], entry["chosen"]["rank"])
        assert float(chosen["test_gain"]) == entry["chosen"]["test_gain"]["value"]
        assert sum(row["best_of_layer"] == "true" for row in own) == 3


def test_resume(document: dict[str, Any], tmp_path: Path) -> None:
    """Interrupted anywhere, the same numbers; other settings and other weights are refused."""
    out = prepare(SMALL, tmp_path / "run", overwrite=False, resume=True)
    run(SMALL, out=out)
    lines = (out / "entries.jsonl").read_bytes().splitlines(keepends=True)
    (out / "entries.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:20])
    assert (
        run(SMALL, out=prepare(SMALL, out, overwrite=False, resume=True), resume=True)["searches"]
        == (document["searches"])
    )
    assert (out / "entries.jsonl").read_bytes() == b"".join(lines)
    other = replace(SMALL, prompts=41)
    assert "prompts 41 (saved: 40)" in error_message(prepare, other, out, overwrite=False, resume=True)
    save_model(out / "weights.npz", random_weights(9, layers=3, token_dim=3), diverged=np.zeros(0, int))
    assert "of other weights" in error_message(run, SMALL, out=out, resume=True)


def test_figure(document: dict[str, Any]) -> None:
    """A panel for every layer, with means over models in per cent of the loss."""
    figure = search_gains(document["searches"])
    assert len(figure.axes) == 3
    for layer, axis in enumerate(figure.axes):
        shared = np.zeros((3, 2, 3))
        for entry in document["searches"]:
            gains = [gain["value"] / entry["test_loss"]["value"] for gain in entry["layers"][layer]["test"]]
            shared[entry["seed"], entry["search"]] = gains
        handle: Any = axis.get_legend_handles_labels()[0][-1]
        line = handle.lines[0]
        np.testing.assert_allclose(line.get_ydata(), 100 * shared.mean(axis=(0, 1)), rtol=1e-9, atol=1e-12)
    chosen = [entry["chosen"]["layer"] for entry in document["searches"]]
    starred = [axis.get_title() for axis in figure.axes if "chosen" in axis.get_title()]
    assert len(starred) == 1
    assert chosen.count(int(starred[0].split()[1])) == max(map(chosen.count, chosen))
    assert len(search_gains(document["searches"], figsize=(3.25, 2), style={"font.size": 6}).axes) == 3
    assert "none" in error_message(search_gains, [])


def test_command(tmp_path: Path) -> None:
    """A file of weights, read, searched, written; the same again from its records."""
    save_model(tmp_path / "own.npz", random_weights(1, layers=2, token_dim=3))
    words = ("search", "--model", str(tmp_path / "own.npz"), "--prompts", "16", "--searches", "2", "--shots", "5")
    done = here(*words, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "read Model(layers=2, token_dim=3), written by save_model" in done.stderr
    assert "one model; " in done.stdout
    written = json.loads((tmp_path / "run" / "records.json").read_text())
    assert (written["configuration"]["layers"], written["configuration"]["dim"]) == (2, 2)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("entries.jsonl", "records.csv", "records.json", "search_gains.pdf", "search_gains.png", "weights.npz")
    }
    again = here("search", "--config", str(tmp_path / "run" / "records.json"), "--json")
    assert json.loads(again.stdout)["searches"] == written["searches"]


def test_options() -> None:
    """What does not fit is refused before anything is trained."""
    assert "from 1 to 3" in error_message(validate, replace(SMALL, top=4))
    assert "labels that are vectors" in error_message(validate, replace(SMALL, task="vector", loss="zero_one"))
    assert "pass --hidden" in error_message(validate, replace(SMALL, module="mlp"))
    assert "got 0.9 for a 3 x 3 matrix" in error_message(validate, replace(SMALL, rates=(0.9,)))
    validate(replace(SMALL, rates=(0.5,)))
