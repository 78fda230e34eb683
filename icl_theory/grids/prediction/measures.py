"""What every finding on the prediction grid computes for a cell: one number a seed, above 0 where it speaks for it."""

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

from icl_theory.grids.finding import Cell, Finding
from icl_theory.grids.prediction.table import PredictionTable

Measure = Callable[[PredictionTable, Finding, Cell], np.ndarray]
GAIN, REGRET = 0.01, 0.05
"""Margins, as in the registered statements."""


def exact_gain(table: PredictionTable, finding: Finding, cell: Cell) -> np.ndarray:
    """Relative fall of the exact risk at the best rank below the full one, minus 0.01."""
    del finding
    risk = table.numbers(cell, "risk" if cell["metric"] == "plain" else "risk_in_metric")
    return 1 - risk[:, :-1].min(axis=1) / risk[:, -1] - GAIN


def data_metric_better(table: PredictionTable, finding: Finding, cell: Cell) -> np.ndarray:
    """Exact risk after plain truncation minus that in the metric, over that of the untouched model."""
    del finding
    rank = int(cell["rank"]) - 1
    plain, metric = table.numbers(cell, "risk"), table.numbers(cell, "risk_in_metric")
    return (plain[:, rank] - metric[:, rank]) / plain[:, -1]


def bound_predicts_risk(table: PredictionTable, finding: Finding, cell: Cell) -> np.ndarray:
    """Spearman's correlation of predictor and exact risk over the ranks."""
    del finding
    return spearman(_predictor(table, cell), table.numbers(cell, "risk"))


def bound_predicts_gap(table: PredictionTable, finding: Finding, cell: Cell) -> np.ndarray:
    """Spearman's correlation of predictor and measured gap over the ranks."""
    del finding
    return spearman(_predictor(table, cell), table.numbers(cell, "gap"))


def bound_picks_rank(table: PredictionTable, finding: Finding, cell: Cell) -> np.ndarray:
    """0.05 minus the regret of the rank with the smallest sum of empirical loss and bound."""
    del finding
    risk = table.numbers(cell, "risk")
    picked = (table.numbers(cell, "empirical_loss") + _predictor(table, cell)).argmin(axis=1)
    return REGRET - (risk[np.arange(len(risk)), picked] / risk.min(axis=1) - 1)


MEASURES: dict[str, Measure] = {
    function.__name__: function
    for function in (exact_gain, data_metric_better, bound_predicts_risk, bound_predicts_gap, bound_picks_rank)
}
"""By name of the finding."""


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis, with mean ranks for equal numbers; 0 where one is constant.

    Args:
        first: shape (seeds, places).
        second: the same.
    """
    places = [rankdata(values, axis=-1) for values in (first, second)]
    a, b = (values - values.mean(axis=-1, keepdims=True) for values in places)
    size = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    found = np.where(size > 0, (a * b).sum(axis=-1) / np.where(size > 0, size, 1.0), 0.0)
    finite = np.isfinite(first).all(axis=-1) & np.isfinite(second).all(axis=-1)
    return np.where(finite, found, np.nan)


def _predictor(table: PredictionTable, cell: Cell) -> np.ndarray:
    name = str(cell["predictor"])
    return table.conditions(cell) if name == "condition" else table.numbers(cell, name)
