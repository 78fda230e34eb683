"""What a record holds, looked up by cell: errors and condition numbers of every seed."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.grids.edits import DROPPED, TEST, THIRD, VALIDATION, Edit, edits_of
from icl_theory.grids.finding import Cell
from icl_theory.grids.registration import TRAINED_FOR, Grid, Unit
from icl_theory.models.model import MATRICES
from icl_theory.models.options import Module

PARTS: dict[str, tuple[str, ...]] = {
    "value": ("value",),
    "key": ("key",),
    "query": ("query",),
    "attention": ("value", "key", "query"),
    "mlp": ("mlp_in", "mlp_out"),
    "all": MATRICES,
}
"""The matrices of a module."""


class Table:
    """The records of every unit of a grid.

    Example:
        >>> from icl_theory.grids import shipped
        >>> table = shipped("edits")
        >>> cell = {"attention": "linear", "mlp": "none", "task": "regression", "regime": "short"}
        >>> table.before(cell, shots=20).shape
        (16,)
    """

    def __init__(self, grid: Grid, units: Sequence[dict[str, Any]]) -> None:
        """Keep them by unit.

        Args:
            grid: what was run.
            units: as `unit_record` makes them, in any order.

        Raises: ValueError for a unit that is missing.
        """
        self.grid = grid
        self._units = {Unit(*record["unit"]): record for record in units}
        lost = [unit.name for unit in grid.units if unit not in self._units]
        if lost:
            got, hint = f"a record without {len(lost)} of its units, {lost[0]!r} for one", "merge all shards of the run"
            raise checks.error("record of the grid", got, "every unit of the grid", hint)
        self._arrays: dict[Any, Any] = {}

    def unit_of(self, cell: Cell) -> Unit:
        """The ensemble that the models of a cell come from.

        Args:
            cell: with a "regime" or a "training".
        """
        regime = str(cell.get("regime") or cell["training"])
        return Unit(str(cell["attention"]), str(cell["mlp"]), str(cell["task"]), TRAINED_FOR[regime])

    def conditions(self, cell: Cell, names: Sequence[str]) -> np.ndarray:
        """The largest κ₂ of the named matrices, shape (seeds, layers), NaN where training diverged.

        Args:
            cell: with a "regime" or a "training".
            names: of matrices.
        """
        regime = self._regime(cell)["conditions"]
        return np.max([np.array(regime[name], dtype=float) for name in names], axis=0)

    def before(self, cell: Cell, shots: int) -> np.ndarray:
        """Errors of the untouched models on test prompts, shape (seeds,).

        Args:
            cell: with a "regime".
            shots: at least 1.
        """
        return np.array(self._regime(cell)["shots"][str(shots)]["before"], dtype=float)[:, TEST]

    def zero(self, cell: Cell, shots: int) -> np.ndarray:
        """Errors of the prediction 0 on the same prompts, shape (seeds,).

        Args:
            cell: with a "regime".
            shots: at least 1.
        """
        return np.array(self._regime(cell)["shots"][str(shots)]["before"], dtype=float)[:, THIRD]

    def changes(self, cell: Cell, shots: int, edits: Sequence[Edit], column: int) -> np.ndarray:
        """A column of the numbers of edits, shape (edits, seeds); of no edit (the full rank) 0.

        Without demonstrations the prediction is 0 whatever the weights, and no edit changes anything.

        Args:
            cell: with a "regime".
            shots: number of demonstrations.
            edits: which; rank 6 of anything is no edit.
            column: VALIDATION, TEST or THIRD.
        """
        if shots == 0:
            return np.zeros((len(edits), self.grid.seeds))
        mlp = str(cell["mlp"])
        numbers = self._numbers(cell, shots)
        zero = np.zeros(self.grid.seeds)
        return np.array(
            [zero if edit.rank == self.full else numbers[:, self._places[mlp][edit], column] for edit in edits]
        )

    def chosen(self, cell: Cell, shots: int, edits: Sequence[Edit]) -> tuple[np.ndarray, np.ndarray]:
        """For every seed the edit with the smallest error on validation prompts, and its change on test prompts.

        Of equal ones the first is taken. NaN where any of them is not finite.

        Args:
            cell: with a "regime".
            shots: number of demonstrations.
            edits: to choose among.
        """
        validation, test = (self.changes(cell, shots, edits, column) for column in (VALIDATION, TEST))
        best = np.argmin(np.where(np.isnan(validation), np.inf, validation), axis=0)
        change = test[best, np.arange(self.grid.seeds)]
        return best, np.where(np.isnan(validation).any(axis=0), np.nan, change)

    @property
    def full(self) -> int:
        """The rank of an untouched matrix."""
        return self.grid.dim + 1

    def truncations(self, module: Module | str, layer: int, *, with_full: bool) -> list[Edit]:
        """The truncations of a module of a layer, no truncation first if it is one of them.

        Args:
            module: of the layer.
            layer: counted from 0.
            with_full: whether no truncation is one of them.
        """
        ranks = ((self.full,) if with_full else ()) + self.grid.ranks
        return [Edit(str(module), layer, rank) for rank in ranks]

    def all_truncations(self, mlp: str) -> list[Edit]:
        """Every truncation of every layer.

        Args:
            mlp: "none" or "relu".
        """
        return [edit for edit in edits_of(self.grid, mlp) if edit.rank]

    def drops(self) -> list[Edit]:
        """Every layer dropped."""
        return [Edit(DROPPED, layer) for layer in range(self.grid.layers)]

    @cached_property
    def _places(self) -> dict[str, dict[Edit, int]]:
        return {mlp: {e: i for i, e in enumerate(edits_of(self.grid, mlp))} for mlp in ("none", "relu")}

    def _regime(self, cell: Cell) -> dict[str, Any]:
        return self._units[self.unit_of(cell)]["regimes"][str(cell.get("regime") or cell["training"])]

    def _numbers(self, cell: Cell, shots: int) -> np.ndarray:
        """Shape (seeds, edits, 3)."""
        place = (self.unit_of(cell), cell["regime"], shots)
        if place not in self._arrays:
            self._arrays[place] = np.array(self._regime(cell)["shots"][str(shots)]["edits"], dtype=float)
        return self._arrays[place]
