"""The grid of one-layer models: numbers of a unit against the library one by one, measures against loops."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from scipy import stats

from icl_theory import (
    LinearRegression,
    bound_ladder,
    condition_number,
    forward_pass_bounds,
    population_risk,
    truncate_weights,
)
from icl_theory.grids import PredictionTable, findings, prediction_grid
from icl_theory.grids.finding import Cell
from icl_theory.grids.prediction.measures import MEASURES, spearman
from icl_theory.grids.prediction.models import generator_of, in_regime, task_of, trained
from icl_theory.grids.prediction.unit_record import MODULES, NUMBERS, unit_record

FULL = prediction_grid("full")
SMALL = dataclasses.replace(
    FULL,
    seed=5,
    seeds=2,
    samples=16,
    regimes=FULL.regimes | {"long_steps": 20, "short_steps": 3},
    factors={"task": ("anisotropic",), "regime": ("converged", "noisy", "shifted")},
)


def made_up(seed: int = 0) -> PredictionTable:
    """Random numbers for every unit of the full grid, with five seeds."""
    rng, grid, units = np.random.default_rng(seed), dataclasses.replace(FULL, seeds=5), []
    for unit in grid.units:
        regimes = {
            regime: {
                "modules": {m: rng.uniform(1, 2, (5, 6, len(NUMBERS))).tolist() for m in MODULES},
                "singular_values": {m: np.sort(rng.uniform(1, 9, (5, 6)))[:, ::-1].tolist() for m in MODULES},
            }
            for regime in grid.regimes_of(unit)
        }
        units.append({"unit": list(unit.key), "regimes": regimes})
    return PredictionTable(grid, units)


def test_numbers_one_by_one() -> None:
    """Risk, bounds, support and gap of a truncation, each by its own function."""
    unit = SMALL.units[0]
    record = unit_record(SMALL, unit)
    models = trained(SMALL, unit)
    for regime in ("noisy", "shifted"):
        task = task_of(SMALL, unit, shifted=regime == "shifted")
        shots = 5 if regime == "shifted" else 20
        assert task.noise_std == (2.0 if regime == "shifted" else 0.5)
        model = in_regime(SMALL, unit, regime, 1, models)
        rng = generator_of(SMALL, unit, 2, 1)
        w = task.sample_tasks(rng, 1)[0]
        moments = task.sample_moments(rng, 64, shots)[0]
        key = int(rng.integers(2**31))
        cut = truncate_weights(model, layer=0, module="key_query", rank=2)
        found = dict(zip(NUMBERS, record["regimes"][regime]["modules"]["key_query"][1][1], strict=True))
        metric = truncate_weights(model, layer=0, module="key_query", rank=2, inputs=moments, target="update")
        assert found["risk"] == pytest.approx(population_risk(cut, task, shots=shots).value, rel=1e-5)
        assert found["risk_in_metric"] == pytest.approx(population_risk(metric, task, shots=shots).value, rel=1e-5)
        options: dict[str, Any] = {"demonstrations": 80, "shots": shots, "clip": 4.0, "samples": 16, "key": key}
        ladder = bound_ladder(cut, task, task_vector=w, **options)
        forward = forward_pass_bounds(cut, task, task_vector=w, **options)
        assert found["readout"] == pytest.approx(ladder.kl_rungs["readout"].value, rel=1e-5)
        assert found["gaussian"] == pytest.approx(ladder.kl_rungs["gaussian"].value, rel=1e-5)
        assert found["wishart_readout"] == pytest.approx(forward.kl_rungs["wishart_readout"].value, rel=1e-5)
        assert found["support"] == ladder.support[0]
        assert found["gap"] == pytest.approx(ladder.gap.value, rel=1e-5)
        assert found["empirical_loss"] == pytest.approx(ladder.empirical_loss.value, rel=1e-5)


def test_noise_and_singular_values() -> None:
    """Noise of a tenth of the root mean square entry; singular values are those of the matrix, or of the product."""
    unit = SMALL.units[0]
    models = trained(SMALL, unit)
    plain, noisy = (in_regime(SMALL, unit, regime, 0, models) for regime in ("converged", "noisy"))
    change = (noisy.value - plain.value) / np.sqrt((plain.value**2).mean())
    assert 0.05 < change.std() < 0.15
    table = PredictionTable(SMALL, [unit_record(SMALL, unit)])
    cell: Cell = {"task": "anisotropic", "regime": "converged", "module": "key_query"}
    product = plain.key[0].T @ plain.query[0]
    assert table.conditions(cell)[0, -1] == pytest.approx(condition_number(product), rel=1e-4)
    assert table.conditions(cell)[:, 0].tolist() == [1.0, 1.0]


def test_tasks() -> None:
    """Variances as registered; low-rank tasks have the total variance of the others."""
    units = {unit.task: unit for unit in FULL.units}
    assert np.diag(task_of(FULL, units["anisotropic"]).covariance).tolist() == FULL.tasks["variances"]
    low = task_of(FULL, units["low rank"])
    assert isinstance(low, LinearRegression)
    assert np.linalg.matrix_rank(low.task_covariance) == 2
    assert np.trace(low.task_covariance) == np.trace(task_of(FULL, units["isotropic"]).task_covariance)
    assert len(FULL.units) == 3 * 5


def predictor(table: PredictionTable, cell: Any, seed: int) -> list[float]:
    if cell["predictor"] == "condition":
        values = table._regime(cell)["singular_values"][cell["module"]][seed]
        return [values[0] / value for value in values]
    return [row[NUMBERS.index(cell["predictor"])] for row in table._regime(cell)["modules"][cell["module"]][seed]]


def column(table: PredictionTable, cell: Any, seed: int, name: str) -> list[float]:
    return [row[NUMBERS.index(name)] for row in table._regime(cell)["modules"][cell["module"]][seed]]


def slow(name: str, table: PredictionTable, cell: Any, seed: int) -> float:
    risk, metric = (column(table, cell, seed, n) for n in ("risk", "risk_in_metric"))
    if name == "exact_gain":
        used = risk if cell["metric"] == "plain" else metric
        return (used[5] - min(used[:5])) / used[5] - 0.01
    if name == "data_metric_better":
        return (risk[cell["rank"] - 1] - metric[cell["rank"] - 1]) / risk[5]
    if name == "bound_predicts_risk":
        return float(np.asarray(stats.spearmanr(predictor(table, cell, seed), risk))[0])
    if name == "bound_predicts_gap":
        return float(np.asarray(stats.spearmanr(predictor(table, cell, seed), column(table, cell, seed, "gap")))[0])
    losses = [
        a + b for a, b in zip(column(table, cell, seed, "empirical_loss"), predictor(table, cell, seed), strict=True)
    ]
    return 0.05 - (risk[losses.index(min(losses))] / min(risk) - 1)


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_measures(name: str) -> None:
    """Every cell that is drawn, seed by seed."""
    table, finding = made_up(), findings()[name]
    cells = list(finding.cells(table.grid))
    for i in np.random.default_rng(2).choice(len(cells), 30, replace=False):
        found = MEASURES[name](table, finding, cells[i])
        assert found == pytest.approx([slow(name, table, cells[i], seed) for seed in range(5)], abs=1e-12), cells[i]


def test_spearman() -> None:
    """Equal numbers share a place; a constant has no correlation; what is not finite is said."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 4, (9, 7)).astype(float), rng.standard_normal((9, 7))
    expected = [np.asarray(stats.spearmanr(a, b))[0] for a, b in zip(first, second, strict=True)]
    assert spearman(first, second) == pytest.approx(expected)
    assert spearman(np.ones((1, 4)), second[:1, :4]).tolist() == [0.0]
    assert np.isnan(spearman(np.array([[1.0, np.nan]]), np.ones((1, 2)))).all()


def test_missing_unit() -> None:
    """A table needs every unit of its grid."""
    with pytest.raises(ValueError, match="without 15 of its units, 'one layer, isotropic, short'"):
        PredictionTable(FULL, [])
