"""Data that are read off the record of the registered grid."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from icl_theory.grids.edits import TEST, Edit
from icl_theory.grids.finding import Cell
from icl_theory.grids.judgement import judge
from icl_theory.grids.measures import MEASURES
from icl_theory.grids.registration import findings
from icl_theory.grids.table import PARTS, Table

SHOWN_MODULES = ("value", "key", "query", "attention", "mlp")
SHOTS = 20


def _populations(table: Table) -> list[tuple[str, Cell]]:
    """The population nearest to the paper that the grid has, and plain linear attention on regression."""
    factors = table.grid.factors
    near: Cell = {"attention": factors["attention"][-1], "mlp": factors["mlp"][-1], "task": factors["task"][-1]}
    plain: Cell = {"attention": "linear", "mlp": "none", "task": "regression"}
    return [(_name(cell), cell | {"regime": "converged"}) for cell in (near, plain)]


def _name(cell: Cell) -> str:
    mlp = ", MLP" if cell["mlp"] == "relu" else ""
    return f"{cell['attention']}{mlp}, {cell['task']}"


def _unit(cell: Cell) -> str:
    return "change of the error rate" if cell["task"] == "classification" else "change of log error"


def _summary(values: np.ndarray) -> dict[str, list[float]]:
    """Mean and standard error over the last axis, the seeds, of every row."""
    return {
        "mean": values.mean(axis=-1).tolist(),
        "stderr": (values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])).tolist(),
    }


def _there(modules: Sequence[str], cell: Cell) -> list[str]:
    return [module for module in modules if module != "mlp" or cell["mlp"] == "relu"]


def clipping_by_layer(table: Table) -> dict[str, Any]:
    """Change of the test error by module, layer and clipping rate."""
    grid, found = table.grid, []
    ranks = (table.full, *grid.ranks)
    for name, cell in _populations(table):
        modules = {}
        for module in _there(SHOWN_MODULES, cell):
            edits = [[Edit(module, layer, rank) for rank in ranks] for layer in range(grid.layers)]
            rates = [1 - rank / table.full for rank in ranks]
            modules[module] = [{"rates": rates} | _summary(table.changes(cell, SHOTS, layer, TEST)) for layer in edits]
        found.append({"name": name, "unit": _unit(cell), "modules": modules})
    return {"populations": found}


def clipping_by_shots(table: Table) -> dict[str, Any]:
    """Change of the test error by clipping the attention of the first and of the last layer, by shots."""
    grid, found = table.grid, []
    shots = [int(number) for number in grid.factors["shots"]]
    for name, cell in _populations(table):
        lines = []
        for layer, rank in product((0, grid.layers - 1), grid.ranks[-2:]):
            edit = Edit("attention", layer, rank)
            values = np.array([table.changes(cell, number, [edit], TEST)[0] for number in shots])
            place = "first" if layer == 0 else "last"
            lines.append({"label": f"{place} layer, rank {rank}", "shots": shots} | _summary(values))
        found.append({"name": name, "unit": _unit(cell), "series": lines})
    return {"populations": found}


def conditions(table: Table) -> dict[str, Any]:
    """Mean logarithm of κ₂ by matrix and layer."""
    found = []
    for name, cell in _populations(table):
        names = PARTS["all"] if cell["mlp"] == "relu" else PARTS["attention"]
        matrices = {matrix: _summary(np.log(table.conditions(cell, [matrix])).T) for matrix in names}
        found.append({"name": name, "matrices": matrices})
    return {"populations": found}


def algorithm_1(table: Table) -> dict[str, Any]:
    """Test gain of Algorithm 1 on the attention, by task, regime, attention and MLP."""
    grid, finding, tasks = table.grid, findings()["algorithm_1"], []
    regimes = [str(regime) for regime in grid.factors["regime"]]
    for task in map(str, grid.factors["task"]):
        lines = []
        for attention, mlp in product(grid.factors["attention"], grid.factors["mlp"]):
            base: Cell = {"attention": attention, "mlp": mlp, "task": task, "shots": SHOTS, "module": "attention"}
            cells = [base | {"regime": regime} for regime in regimes]
            gains = [MEASURES["algorithm_1"](table, finding, cell) + finding.margin_of(cell) for cell in cells]
            label = f"{attention}{', MLP' if mlp == 'relu' else ''}"
            lines.append({"label": label} | _summary(np.array(gains)))
        unit = "gain, error rate" if task == "classification" else "gain, log error"
        tasks.append({"name": task, "unit": unit, "series": lines})
    return {"regimes": regimes, "tasks": tasks}


def deep_shallow(table: Table) -> dict[str, Any]:
    """Outcome of every cell of P2 at the smallest rank and the shots of training."""
    grid, finding = table.grid, findings()["deep_layers_tolerate"]
    outcomes = {tuple(cell.cell.values()): cell.outcome for cell in judge(finding, table).cells}
    rows, table_rows = [], []
    for attention, mlp, task in product(*(grid.factors[name] for name in ("attention", "mlp", "task"))):
        rows.append(f"{task}, {attention}{', MLP' if mlp == 'relu' else ''}")
        table_rows.append(
            [
                outcomes.get((attention, mlp, task, regime, SHOTS, module, grid.ranks[-1]), "")
                for regime, module in product(grid.factors["regime"], SHOWN_MODULES)
            ]
        )
    regimes = [str(regime) for regime in grid.factors["regime"]]
    return {"rows": rows, "groups": regimes, "columns": [*SHOWN_MODULES] * len(regimes), "outcomes": table_rows}


def all_findings(table: Table) -> dict[str, Any]:
    """Verdict and counts of every finding."""
    there = [f for f in findings().values() if f.grid == "edits" and any(f.cells(table.grid))]
    judged = [judge(finding, table) for finding in there]
    return {
        "findings": [
            {
                "name": found.finding.name,
                "verdict": found.verdict,
                "counts": {
                    "for": found.count("for"),
                    "undecided": found.count("undecided") + found.count("not finite"),
                    "against": found.count("against"),
                },
            }
            for found in judged
        ]
    }
