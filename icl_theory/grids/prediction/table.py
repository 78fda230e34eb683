"""What a record of the prediction grid holds, looked up by cell."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.grids.finding import Cell
from icl_theory.grids.prediction.models import PredictionGrid, PredictionUnit, trained_for
from icl_theory.grids.prediction.unit_record import NUMBERS


class PredictionTable:
    """The records of every unit of the prediction grid.

    Example:
        >>> from icl_theory.grids import shipped
        >>> table = shipped("prediction")
        >>> cell = {"task": "isotropic", "regime": "converged", "module": "key"}
        >>> table.numbers(cell, "risk").shape
        (16, 6)
    """

    def __init__(self, grid: PredictionGrid, units: Sequence[dict[str, Any]]) -> None:
        """Keep them by unit.

        Args:
            grid: what was run.
            units: as `unit_record` makes them, in any order.

        Raises: ValueError for a unit that is missing.
        """
        self.grid = grid
        self._units = {tuple(record["unit"]): record for record in units}
        lost = [unit.name for unit in grid.units if unit.key not in self._units]
        if lost:
            got, hint = f"a record without {len(lost)} of its units, {lost[0]!r} for one", "merge all shards of the run"
            raise checks.error("record of the grid", got, "every unit of the grid", hint)

    def numbers(self, cell: Cell, name: str) -> np.ndarray:
        """A number at every rank from 1 to the full one, shape (seeds, ranks), NaN where it is not finite.

        Args:
            cell: with "task", "regime" and "module".
            name: one of `NUMBERS`.
        """
        array = np.array(self._regime(cell)["modules"][str(cell["module"])], dtype=float)
        return array[:, :, NUMBERS.index(name)]

    def conditions(self, cell: Cell) -> np.ndarray:
        """Condition number of what is kept at every rank, σ_1 / σ_r, shape (seeds, ranks).

        Args:
            cell: with "task", "regime" and "module".
        """
        values = np.array(self._regime(cell)["singular_values"][str(cell["module"])], dtype=float)
        return values[:, :1] / values

    def _regime(self, cell: Cell) -> dict[str, Any]:
        regime = str(cell["regime"])
        return self._units[PredictionUnit(str(cell["task"]), trained_for(regime)).key]["regimes"][regime]
