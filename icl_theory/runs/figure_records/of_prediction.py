"""Data that are read off the record of the prediction grid."""

from typing import Any

import numpy as np

from icl_theory.grids.prediction.table import PredictionTable

SERIES = {
    "$W_V$, SVD": ("value", "risk"),
    "$W_K$, SVD": ("key", "risk"),
    "$W_K$, metric of the update": ("key", "risk_in_metric"),
    "$W_K^T W_Q$, metric of the update": ("key_query", "risk_in_metric"),
}


def exact_gain(table: PredictionTable) -> dict[str, Any]:
    """Change of the exact risk in per cent at the best rank below the full one, by task and regime."""
    regimes, tasks = [str(regime) for regime in table.grid.factors["regime"]], []
    for task in map(str, table.grid.factors["task"]):
        lines = []
        for label, (module, name) in SERIES.items():
            rows = []
            for regime in regimes:
                risk = table.numbers({"task": task, "regime": regime, "module": module}, name)
                rows.append(100 * (risk[:, :-1].min(axis=1) / risk[:, -1] - 1))
            values = np.array(rows)
            stderr = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
            lines.append({"label": label, "mean": values.mean(axis=1).tolist(), "stderr": stderr.tolist()})
        tasks.append({"name": task, "series": lines})
    return {"regimes": regimes, "tasks": tasks}
