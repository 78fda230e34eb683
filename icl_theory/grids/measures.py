"""What every finding computes for a cell: one number a seed, above 0 where it speaks for the statement."""

from collections.abc import Callable
from itertools import combinations

import numpy as np

from icl_theory.grids.edits import MOVED, TEST, THIRD, Edit
from icl_theory.grids.finding import Cell, Finding
from icl_theory.grids.table import PARTS, Table

Measure = Callable[[Table, Finding, Cell], np.ndarray]
TOP = 2
"""Algorithm 1 takes the deeper of so many layers with the largest condition numbers."""


def clipping_helps(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Gain of the truncation that validation prefers, minus the margin."""
    return -table.chosen(cell, _shots(cell), table.all_truncations(str(cell["mlp"])))[1] - finding.margin_of(cell)


def clipping_harmless(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """The margin minus its loss."""
    return finding.margin_of(cell) - table.chosen(cell, _shots(cell), table.all_truncations(str(cell["mlp"])))[1]


def algorithm_1(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Gain of the deeper of the two worst conditioned layers at the rank that validation prefers, minus the margin."""
    worst = np.argsort(-table.conditions(cell, PARTS[str(cell["module"])]), axis=1)[:, :TOP]
    return np.take_along_axis(_gains(table, cell), worst.max(axis=1)[:, None], 1)[:, 0] - finding.margin_of(cell)


def condition_guide(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Gain of the worst conditioned layer minus the mean gain of a layer."""
    del finding
    gains = _gains(table, cell)
    worst = table.conditions(cell, PARTS[str(cell["module"])]).argmax(axis=1)
    return np.take_along_axis(gains, worst[:, None], 1)[:, 0] - gains.mean(axis=1)


def deep_layers_tolerate(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Loss by clipping the first layer minus that by clipping the last."""
    del finding
    first, last = _ends(table, str(cell["module"]), int(cell["rank"]))
    return np.subtract(*table.changes(cell, _shots(cell), [first, last], TEST))


def shots_and_collapse(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Loss by clipping the first layer with more demonstrations minus that with fewer."""
    del finding
    edit = Edit(str(cell["module"]), 0, int(cell["rank"]))
    few, many = (table.changes(cell, number, [edit], TEST)[0] for number in _pair(cell))
    return many - few


def conditions_grow(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Kendall's τ of depth and κ₂."""
    del finding
    numbers = table.conditions(cell, [str(cell["matrix"])])
    pairs = combinations(range(numbers.shape[1]), 2)
    return np.mean([np.sign(numbers[:, deep] - numbers[:, shallow]) for shallow, deep in pairs], axis=0)


def mlp_conditioned(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Mean over layers of log κ₂ of the attention minus log κ₂ of the MLP."""
    del finding
    attention, mlp = (np.log(table.conditions(cell, PARTS[name])) for name in ("attention", "mlp"))
    return (attention - mlp).mean(axis=1)


def deep_edits_steadier(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Mean log change of the prediction by a random edit, first layer minus last."""
    del finding
    ends = _ends(table, f"{MOVED} {cell['module']}", 0)
    return np.subtract(*table.changes(cell, _shots(cell), ends, THIRD))


def shallow_clipping_uneven(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Spread over prompts of the change of the error by clipping to the middle rank, first layer minus last."""
    del finding
    ends = _ends(table, str(cell["module"]), table.grid.ranks[1])
    return np.subtract(*table.changes(cell, _shots(cell), ends, THIRD))


def single_module(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """The margin minus the loss at the best rank of one matrix."""
    edits = table.truncations(str(cell["module"]), int(cell["layer"]), with_full=False)
    return finding.margin_of(cell) - table.chosen(cell, _shots(cell), edits)[1]


def optimal_rate_varies(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """The smaller of the advantages at home of the ranks for fewest and for most demonstrations, less the margin.

    Where both ranks are the same it is minus the margin, which speaks against the statement.
    """
    edits = table.truncations(str(cell["module"]), int(cell["layer"]), with_full=True)
    shots = [number for number in map(int, table.grid.factors["shots"]) if number]
    ends, seeds = (shots[0], shots[-1]), np.arange(table.grid.seeds)
    best = [table.chosen(cell, number, edits)[0] for number in ends]
    test = [table.changes(cell, number, edits, TEST) for number in ends]
    advantages = (test[i][best[1 - i], seeds] - test[i][best[i], seeds] for i in range(2))
    return np.minimum(*advantages) - finding.margin_of(cell)


def rate_transfer(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """The smaller of the gain under the shift, where it is chosen, and the loss without it, less the margin."""
    edits = [
        edit
        for layer in range(table.grid.layers)
        for edit in table.truncations(str(cell["module"]), layer, with_full=False)
    ]
    there, here = (cell | {"regime": regime} for regime in ("shifted", "converged"))
    best, change = table.chosen(there, _shots(cell), edits)
    loss = table.changes(here, _shots(cell), edits, TEST)[best, np.arange(table.grid.seeds)]
    return np.minimum(-change, loss) - finding.margin_of(cell)


def dropped_layer(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """The margin minus the loss by dropping the layer that validation prefers to lose."""
    return finding.margin_of(cell) - table.chosen(cell, _shots(cell), table.drops())[1]


def rise_then_decline(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """The smaller of the gains of the best middle rank over no clipping and over the heaviest, less the margin."""
    *middle, heavy = table.truncations("attention", int(cell["layer"]), with_full=False)
    change = table.chosen(cell, _shots(cell), middle)[1]
    decline = table.changes(cell, _shots(cell), [heavy], TEST)[0] - change
    return np.minimum(-change, decline) - finding.margin_of(cell)


def more_shots_help(table: Table, finding: Finding, cell: Cell) -> np.ndarray:
    """Error with fewer demonstrations minus error with more."""
    del finding
    few, many = _pair(cell)
    return (table.zero(cell, many) if few == 0 else table.before(cell, few)) - table.before(cell, many)


MEASURES: dict[str, Measure] = {
    function.__name__: function
    for function in (
        clipping_helps,
        clipping_harmless,
        algorithm_1,
        condition_guide,
        deep_layers_tolerate,
        shots_and_collapse,
        conditions_grow,
        mlp_conditioned,
        deep_edits_steadier,
        shallow_clipping_uneven,
        single_module,
        optimal_rate_varies,
        rate_transfer,
        dropped_layer,
        rise_then_decline,
        more_shots_help,
    )
}
"""By name of the finding."""


def _shots(cell: Cell) -> int:
    return int(cell["shots"])


def _pair(cell: Cell) -> tuple[int, int]:
    few, many = str(cell["pair"]).split(" to ")
    return int(few), int(many)


def _ends(table: Table, kind: str, rank: int) -> tuple[Edit, Edit]:
    """The same edit of the first layer and of the last."""
    return Edit(kind, 0, rank), Edit(kind, table.grid.layers - 1, rank)


def _gains(table: Table, cell: Cell) -> np.ndarray:
    """Test gain of every layer at the rank, no truncation among them, that validation prefers, (seeds, layers)."""
    module, shots = str(cell["module"]), _shots(cell)
    layers = range(table.grid.layers)
    return np.column_stack(
        [-table.chosen(cell, shots, table.truncations(module, layer, with_full=True))[1] for layer in layers]
    )
