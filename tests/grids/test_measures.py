"""Every measure on made-up numbers, against loops over seeds and edits."""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from small_grid import made_up, made_up_table

from icl_theory.grids import Table, findings, grid
from icl_theory.grids.edits import edits_of
from icl_theory.grids.finding import Cell
from icl_theory.grids.measures import MEASURES

TABLE = made_up_table()
RECORDS = {tuple(record["unit"]): record for record in made_up(TABLE.grid)}
TRAINING = {"short": "short", "converged": "long", "finite": "finite", "noisy": "long", "shifted": "long"}
ATTENTION, MLP = ("value", "key", "query"), ("mlp_in", "mlp_out")


class Slow:
    """One seed of one cell, looked up in the records themselves."""

    def __init__(self, cell: Cell, seed: int, regime: str | None = None) -> None:
        regime = str(regime or cell.get("regime") or cell["training"])
        unit = (cell["attention"], cell["mlp"], cell["task"], TRAINING[regime])
        self.record, self.seed = RECORDS[unit]["regimes"][regime], seed
        self.edits = edits_of(TABLE.grid, str(cell["mlp"]))

    def change(self, shots: int, kind: str, layer: int, rank: int, column: int) -> float:
        if shots == 0 or rank == 6:
            return 0.0
        place = next(i for i, e in enumerate(self.edits) if (e.kind, e.layer, e.rank) == (kind, layer, rank))
        return self.record["shots"][str(shots)]["edits"][self.seed][place][column]

    def chosen(self, shots: int, options: list[tuple[str, int, int]]) -> tuple[tuple[str, int, int], float]:
        best = min(options, key=lambda option: self.change(shots, *option, 0))
        return best, self.change(shots, *best, 1)

    def worst(self, layer: int, module: str) -> float:
        names = {"attention": ATTENTION, "mlp": MLP, "all": ATTENTION + MLP}.get(module, (module,))
        return max(self.record["conditions"][name][self.seed][layer] for name in names)

    def gain(self, shots: int, module: str, layer: int) -> float:
        return -self.chosen(shots, [(module, layer, rank) for rank in (6, 5, 3, 1)])[1]

    def every(self) -> list[tuple[str, int, int]]:
        return [(e.kind, e.layer, e.rank) for e in self.edits if e.rank]


def margin(cell: Cell, regression: float, classification: float) -> float:
    return classification if cell["task"] == "classification" else regression


def pair(cell: Cell) -> list[int]:
    return [int(number) for number in str(cell["pair"]).split(" to ")]


def algorithm_1(cell: Any, s: Slow) -> float:
    order = sorted(range(3), key=lambda layer: -s.worst(layer, cell["module"]))
    return s.gain(cell["shots"], cell["module"], max(order[:2])) - margin(cell, 0.01, 0.005)


def condition_guide(cell: Any, s: Slow) -> float:
    first = max(range(3), key=lambda layer: s.worst(layer, cell["module"]))
    gains = [s.gain(cell["shots"], cell["module"], layer) for layer in range(3)]
    return gains[first] - sum(gains) / 3


def conditions_grow(cell: Any, s: Slow) -> float:
    numbers = [s.worst(layer, cell["matrix"]) for layer in range(3)]
    return sum((deep > shallow) - (deep < shallow) for shallow, deep in combinations(numbers, 2)) / 3


def mlp_conditioned(cell: Any, s: Slow) -> float:
    del cell
    return sum(np.log(s.worst(layer, "attention") / s.worst(layer, "mlp")) for layer in range(3)) / 3


def ends(cell: Any, s: Slow, kind: str, rank: int, column: int) -> float:
    return s.change(cell["shots"], kind, 0, rank, column) - s.change(cell["shots"], kind, 2, rank, column)


def optimal_rate_varies(cell: Any, s: Slow) -> float:
    options = [(cell["module"], cell["layer"], rank) for rank in (6, 5, 3, 1)]
    four, forty = (s.chosen(shots, options)[0] for shots in (4, 40))
    at_four = s.change(4, *forty, 1) - s.change(4, *four, 1)
    at_forty = s.change(40, *four, 1) - s.change(40, *forty, 1)
    return min(at_four, at_forty) - margin(cell, 0.01, 0.005)


def rate_transfer(cell: Any, s: Slow) -> float:
    there, here = Slow(cell, s.seed, "shifted"), Slow(cell, s.seed, "converged")
    options = [(cell["module"], layer, rank) for layer in range(3) for rank in (5, 3, 1)]
    best, change = there.chosen(cell["shots"], options)
    return min(-change, here.change(cell["shots"], *best, 1)) - margin(cell, 0.01, 0.005)


def rise_then_decline(cell: Any, s: Slow) -> float:
    change = s.chosen(cell["shots"], [("attention", cell["layer"], rank) for rank in (5, 3)])[1]
    heavy = s.change(cell["shots"], "attention", cell["layer"], 1, 1)
    return min(-change, heavy - change) - margin(cell, 0.01, 0.005)


def more_shots_help(cell: Any, s: Slow) -> float:
    few, many = pair(cell)
    before = s.record["shots"]
    first = before[str(many)]["before"][s.seed][2] if few == 0 else before[str(few)]["before"][s.seed][1]
    return first - before[str(many)]["before"][s.seed][1]


def shots_and_collapse(cell: Any, s: Slow) -> float:
    few, many = pair(cell)
    return s.change(many, cell["module"], 0, cell["rank"], 1) - s.change(few, cell["module"], 0, cell["rank"], 1)


def single_module(cell: Any, s: Slow) -> float:
    options = [(cell["module"], cell["layer"], rank) for rank in (5, 3, 1)]
    return margin(cell, 0.01, 0.005) - s.chosen(cell["shots"], options)[1]


def dropped_layer(cell: Any, s: Slow) -> float:
    return margin(cell, 0.05, 0.02) - s.chosen(cell["shots"], [("dropped", layer, 0) for layer in range(3)])[1]


TWINS: dict[str, Callable[[Any, Slow], float]] = {
    "clipping_helps": lambda c, s: -s.chosen(c["shots"], s.every())[1] - margin(c, 0.01, 0.005),
    "clipping_harmless": lambda c, s: margin(c, 0.01, 0.005) - s.chosen(c["shots"], s.every())[1],
    "algorithm_1": algorithm_1,
    "condition_guide": condition_guide,
    "deep_layers_tolerate": lambda c, s: ends(c, s, c["module"], c["rank"], 1),
    "shots_and_collapse": shots_and_collapse,
    "conditions_grow": conditions_grow,
    "mlp_conditioned": mlp_conditioned,
    "deep_edits_steadier": lambda c, s: ends(c, s, f"moved {c['module']}", 0, 2),
    "shallow_clipping_uneven": lambda c, s: ends(c, s, c["module"], 3, 2),
    "single_module": single_module,
    "optimal_rate_varies": optimal_rate_varies,
    "rate_transfer": rate_transfer,
    "dropped_layer": dropped_layer,
    "rise_then_decline": rise_then_decline,
    "more_shots_help": more_shots_help,
}


def cell_of(cell: Cell) -> Cell:
    """A cell with a regime for the lookup of its unit."""
    return cell if "regime" in cell or "training" in cell else cell | {"regime": "converged"}


@pytest.mark.parametrize("name", sorted(TWINS))
def test_measures(name: str) -> None:
    """Forty cells drawn at random and the one nearest to the paper."""
    finding = findings()[name]
    cells = list(finding.cells(TABLE.grid))
    drawn = np.random.default_rng(1).choice(len(cells), min(40, len(cells)), replace=False)
    for cell in [*(cells[i] for i in drawn), finding.paper_cell]:
        found = MEASURES[name](TABLE, finding, cell)
        slow = [TWINS[name](cell, Slow(cell_of(cell), seed)) for seed in range(5)]
        assert found == pytest.approx(slow, abs=1e-12), cell


def test_every_measure_has_a_twin() -> None:
    """No finding of this grid is left out above."""
    assert set(TWINS) == {finding.name for finding in findings().values() if finding.grid == "edits"}


def test_not_finite_is_said() -> None:
    """A seed that diverged gives no number to a choice that could have fallen on it."""
    records = made_up(TABLE.grid)
    record = next(r for r in records if r["unit"] == ["linear", "none", "regression", "short"])
    record["regimes"]["short"]["shots"]["4"]["edits"][2][7][0] = None
    table = Table(TABLE.grid, records)
    cell: Cell = {"attention": "linear", "mlp": "none", "task": "regression", "regime": "short", "shots": 4}
    found = MEASURES["clipping_helps"](table, findings()["clipping_helps"], cell)
    assert np.isnan(found).tolist() == [False, False, True, False, False]


def test_missing_unit() -> None:
    """A table needs every unit of its grid."""
    with pytest.raises(ValueError, match="without 1 of its units, 'linear, MLP none, regression, short'"):
        Table(TABLE.grid, made_up(TABLE.grid)[1:])
    assert len(grid("full").units) == 54
