"""Data of the figures that train or sample, against the functions they come from."""

from typing import Any

import numpy as np
import pytest
from small_grid import made_up_table

from icl_theory import (
    LinearRegression,
    bayes_risk,
    gradient_descent_agreement,
    least_squares_risk,
    normality_audit,
    population_risk,
    truncate_weights,
    truncation_curves,
)
from icl_theory.claims.quantities.scalar_counterexample import printed, repaired, simulate
from icl_theory.grids import PredictionTable, prediction_grid
from icl_theory.grids.prediction.unit_record import MODULES, NUMBERS
from icl_theory.models.constructions import gradient_descent_weights
from icl_theory.runs.figure_records import of_grid, of_models, of_prediction, of_theory


def silent(text: str, done: int, total: int) -> None:
    """No progress."""
    del text, done, total


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few steps, few places."""
    monkeypatch.setattr(of_models, "STEPS", (0, 12))
    monkeypatch.setattr(of_models, "SHOWN", (2, 20))


@pytest.mark.usefixtures("short")
def test_least_squares() -> None:
    """Risks of members and of the references; along the steps those at 20 demonstrations."""
    found = of_models.least_squares(3, 2, silent)
    task = LinearRegression(5, noise_std=0.5)
    shots = {line["label"]: line for line in found["shots"]["series"]}
    assert shots["least squares"]["mean"] == [least_squares_risk(task, shots=n).value for n in (2, 20)]
    assert shots["ridge (Bayes)"]["mean"] == [bayes_risk(task, shots=n).value for n in (2, 20)]
    members = of_models._members(task, 3, 2, 1, 12)
    risks = [population_risk(member, task, shots=2).value for member in members]
    assert shots["trained, 1 layer"]["mean"][0] == pytest.approx(np.mean(risks))
    assert shots["trained, 1 layer"]["stderr"][0] == pytest.approx(abs(risks[0] - risks[1]) / 2)
    steps = {line["label"]: line for line in found["steps"]["series"]}
    assert steps["trained, 1 layer"]["mean"][1] == pytest.approx(shots["trained, 1 layer"]["mean"][1])
    assert steps["least squares"]["mean"] == [shots["least squares"]["mean"][1]] * 2
    first = of_models._members(task, 3, 2, 1, 0)
    assert steps["trained, 1 layer"]["mean"][0] == pytest.approx(
        np.mean([population_risk(member, task, shots=20).value for member in first])
    )


@pytest.mark.usefixtures("short")
def test_agreement() -> None:
    """Difference and cosine of members against the fitted schemes."""
    found = of_models.agreement(3, 2, silent)
    task = LinearRegression(5, noise_std=0.5)
    members = of_models._members(task, 3, 2, 3, 12)
    layers = [gradient_descent_agreement(m, task, shots=20, key=3, scheme="gd++").final for m in members]
    line = next(line for line in found["cosine"] if line["label"] == "GD++")
    assert line["mean"] == pytest.approx([np.mean([layer.sensitivity_cosine.value for layer in layers])])
    line = next(line for line in found["difference"] if line["label"] == "GD++")
    assert line["mean"] == pytest.approx([np.mean([layer.prediction_difference.value for layer in layers])])


def test_task_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rises in per cent of the untouched risk, singular values relative to the largest, shares of seeds."""
    real = of_models._members
    monkeypatch.setattr(of_models, "_members", lambda task, seed, seeds, layers, _: real(task, seed, seeds, layers, 15))
    one, two = of_models.task_rank(2, 2, silent)["models"]
    task: Any = LinearRegression(10, task_covariance=np.diag([1.0] * 3 + [0.0] * 7), noise_std=0.5)
    members = real(task, 2, 2, 1, 15)
    rises = []
    for member in members:
        cut = truncate_weights(member, layer=0, module="key_query", rank=3)
        before, after = (population_risk(model, task, shots=20).value for model in (member, cut))
        rises.append(100 * (after / before - 1))
    assert one["rise"]["mean"][2] == pytest.approx(np.mean(rises))
    assert one["under_one_per_cent"] == np.mean(np.array(rises) < 1)
    assert one["spectrum"]["mean"][0] == two["spectrum"]["mean"][0] == 1.0
    assert one["rise"]["mean"][-1] == 0.0


def test_theory() -> None:
    """Curves, counterexample and quantiles are those of the library."""
    trap = of_theory.truncation_trap(0, 4, silent)
    curves = truncation_curves(LinearRegression(5, np.diag([4.0, 2.0, 1.0, 0.5, 0.25]), noise_std=0.5), shots=20)
    labelled = {line["label"]: line["mean"] for line in trap["series"]}
    assert labelled["cut by its own SVD"] == curves.plain.tolist()
    assert labelled["cut in the metric of the data"] == curves.whitened.tolist()
    found = of_theory.theorem_2(1, 1, silent)
    runs = simulate(1, 50_000, 10.0)
    place = found["lengths"].index(10.0)
    assert [line["mean"][place] for line in found["series"]] == [
        number.value for number in (runs.gap, printed(runs), repaired(runs, 10.0))
    ]
    noise = of_theory.noise_quantiles(5, 4, silent)
    task, rng = LinearRegression(2, noise_std=0.5), np.random.default_rng(5)
    tokens = task.sample_tokens(rng, task.sample_tasks(rng, 1), 60)[0]
    model = gradient_descent_weights(2, layers=1, step_size=0.5)
    record = normality_audit(model, tokens, shots=[10], samples=400, key=5)[0]
    panel = next(panel for panel in noise["panels"] if panel["shots"] == 10)
    assert panel["quantiles"] == record.quantiles.tolist()
    assert len(panel["distances"]) == 400


def test_exact_gain() -> None:
    """Per cent of the untouched risk at the best rank below the full one."""
    rng, grid, units = np.random.default_rng(0), prediction_grid(), []
    for unit in grid.units:
        regimes = {
            regime: {"modules": {m: rng.uniform(1, 2, (16, 6, len(NUMBERS))).tolist() for m in MODULES}}
            for regime in grid.regimes_of(unit)
        }
        units.append({"unit": list(unit.key), "regimes": regimes})
    table = PredictionTable(grid, units)
    found = of_prediction.exact_gain(table)
    cell: Any = {"task": "anisotropic", "regime": "noisy", "module": "key"}
    risk = table.numbers(cell, "risk_in_metric")
    line = found["tasks"][1]["series"][2]
    expected = 100 * (risk[:, :5].min(axis=1) / risk[:, 5] - 1)
    assert line["mean"][found["regimes"].index("noisy")] == pytest.approx(expected.mean())


def test_findings_data() -> None:
    """Counts of all cells of every finding of the grid of edits; what is not finite is undecided."""
    found = of_grid.all_findings(made_up_table(1))["findings"]
    assert len(found) == 16
    assert sum(found[0]["counts"].values()) == 720
