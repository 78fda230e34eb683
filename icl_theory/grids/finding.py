"""A finding: a statement about populations of models, the cells of a grid it is about, and how it is judged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal, Protocol

from icl_theory.core.field_docs import fields_in_help

ProfileName = Literal["quick", "full"]
GridName = Literal["edits", "prediction"]
"""edits: trained models of many kinds and edits of their weights; prediction: one-layer models and what bounds say."""
Level = str | int
Cell = dict[str, Level]
"""A level for every factor."""


@fields_in_help
@dataclass(frozen=True)
class Judgement:
    """How cells and findings are judged, see `grids.judgement`."""

    level: float
    """Of the intervals over seeds."""
    nearly_all: float
    """Share of the decided cells from which on a statement holds, or fails."""
    some: float
    """Share of all cells that must speak for and against a statement that depends."""


class CellGrid(Protocol):
    """What findings need of a grid."""

    @property
    def profile(self) -> ProfileName: ...
    @property
    def factors(self) -> "dict[str, tuple[Level, ...]]": ...
    @property
    def judgement(self) -> Judgement: ...
    @property
    def seed(self) -> int: ...
    @property
    def seeds(self) -> int: ...
    @property
    def units(self) -> Sequence[Any]: ...


@fields_in_help
@dataclass(frozen=True)
class Finding:
    """A statement about a population of runs, and what counts as for or against it.

    Example:
        >>> from icl_theory.grids import findings, grid
        >>> finding = findings()["clipping_helps"]
        >>> finding.origin, len(list(finding.cells(grid("full"))))
        ('paper', 360)
    """

    name: str
    registered: str
    """Day on which file and margins were fixed."""
    source: str
    origin: Literal["paper", "reading"]
    """"paper": the statement is the paper's, its measure ours; "reading": margin and statement are ours."""
    statement: str
    value: str
    """What is computed for every cell and seed; above 0 it speaks for the statement."""
    factors: tuple[str, ...]
    paper_cell: Cell
    """The cell nearest to the paper."""
    grid: GridName = "edits"
    """Which grid it is read off."""
    margin: dict[str, float] = field(default_factory=dict)
    """By kind of task; none: 0."""
    levels: dict[str, tuple[Level, ...]] = field(default_factory=dict)
    """Levels that differ from those of the grid."""

    def cells(self, grid: CellGrid) -> Iterator[Cell]:
        """Every cell in order; those that no model has are left out (an MLP of models without one).

        Args:
            grid: the profile; levels it does not have are left out too.
        """
        levels = [self._levels(grid, name) for name in self.factors]
        for chosen in product(*levels):
            cell = dict(zip(self.factors, chosen, strict=True))
            if cell.get("mlp") == "relu" or not {"mlp", "mlp_in", "mlp_out", "all"} & set(cell.values()):
                yield cell

    def _levels(self, grid: CellGrid, name: str) -> tuple[Level, ...]:
        own = self.levels.get(name)
        if own is None:
            return grid.factors[name]
        if name == "pair":
            return tuple(pair for pair in own if {int(n) for n in str(pair).split(" to ")} <= {*grid.factors["shots"]})
        there = grid.factors["regime"] if name == "training" else grid.factors.get(name, own)
        return tuple(level for level in own if level in there)

    def margin_of(self, cell: Cell) -> float:
        """The margin for the task of a cell; for classification in shares of the prompts, else of the error.

        Args:
            cell: one of `cells`.
        """
        kind = "classification" if cell["task"] == "classification" else "regression"
        return self.margin.get(kind, 0.0)
