"""From the numbers of every cell and seed to a verdict: for, against, or it depends, and on what."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result
from icl_theory.grids.deciding_factors import FactorEffect, factor_effects
from icl_theory.grids.finding import Cell, CellGrid, Finding, Judgement
from icl_theory.grids.kinds import KINDS, AnyTable

Outcome = Literal["for", "against", "undecided", "not finite"]
GridVerdict = Literal["HOLDS", "FAILS", "DEPENDS", "INCONCLUSIVE"]
_ROUNDING = 1e-12


@fields_in_help
@dataclass(frozen=True, repr=False)
class CellOutcome(Result):
    """What the seeds of a cell say.

    Example:
        >>> from icl_theory.grids import findings, judge, shipped
        >>> cell = judge(findings()["conditions_grow"], shipped("edits")).cells[0]
        >>> cell.low <= cell.mean <= cell.high, cell.seeds
        (True, 16)
    """

    cell: Cell
    mean: float
    """Of the value of the finding; above 0 it speaks for the statement."""
    stderr: float
    """Over seeds."""
    low: float
    """Lower end of Student's interval over seeds."""
    high: float
    """Its upper end."""
    seeds_for: int
    """Seeds with a value above 0."""
    seeds_against: int
    """Seeds with a value below 0."""
    seeds: int
    outcome: Outcome


@fields_in_help
@dataclass(frozen=True, repr=False)
class JudgedFinding(Result):
    """A finding with its verdict.

    Example:
        >>> from icl_theory.grids import findings
        >>> findings()["deep_layers_tolerate"].factors[-2:]
        ('module', 'rank')
    """

    finding: Finding
    verdict: GridVerdict
    cells: list[CellOutcome]
    factors: list[FactorEffect]
    """Which factors decide, the strongest first."""

    def count(self, outcome: Outcome) -> int:
        """How many cells came out so.

        Args:
            outcome: "for", "against", "undecided" or "not finite".
        """
        return sum(cell.outcome == outcome for cell in self.cells)

    @property
    def paper_cell(self) -> CellOutcome | None:
        """The cell nearest to the paper; None if the profile does not have it."""
        return next((cell for cell in self.cells if cell.cell == self.finding.paper_cell), None)


def judge(finding: Finding, table: AnyTable) -> JudgedFinding:
    """Judge a finding by every cell of a grid.

    A cell is for the statement if the interval of its mean over seeds lies above 0, against it if below. The statement
    HOLDS (FAILS) if nearly all decided cells are for (against) it and at least half of all cells are decided; it
    DEPENDS if some cells are for and some against it; otherwise it is INCONCLUSIVE. What "nearly all" and "some" are
    is registered.

    Args:
        finding: a registered one.
        table: the numbers.

    Returns: `JudgedFinding`.

    Example:
        >>> from icl_theory.grids import findings, judge, shipped
        >>> judged = judge(findings()["more_shots_help"], shipped("edits"))
        >>> judged.count("for") > judged.count("against")
        True
    """
    return judge_values(finding, table.grid, cell_values(finding, table))


def cell_values(finding: Finding, table: AnyTable) -> np.ndarray:
    """What a finding computes, shape (cells, seeds), cells in the order of `Finding.cells`.

    Args:
        finding: a registered one.
        table: the numbers.
    """
    return np.array(
        [KINDS[finding.grid].measures[finding.name](table, finding, cell) for cell in finding.cells(table.grid)]
    )


def judge_values(finding: Finding, grid: CellGrid, values: np.ndarray) -> JudgedFinding:
    """Judge a finding by the values of every cell and seed, see `judge`.

    Args:
        finding: a registered one.
        grid: its cells and rules.
        values: as `cell_values` returns them.
    """
    cells, rules = list(finding.cells(grid)), grid.judgement
    outcomes = [cell_outcome(cell, row, rules) for cell, row in zip(cells, values, strict=True)]
    effects = factor_effects(finding.factors, cells, values, rules.level)
    return JudgedFinding(finding, verdict_of([o.outcome for o in outcomes], rules), outcomes, effects)


def cell_outcome(cell: Cell, values: np.ndarray, rules: Judgement) -> CellOutcome:
    """Student's interval of the mean over seeds, and which side of 0 it is on.

    Args:
        cell: where.
        values: one for every seed, at least two.
        rules: the level of the interval.
    """
    count = len(values)
    positive, negative = int((values > 0).sum()), int((values < 0).sum())
    if not np.isfinite(values).all():
        nan = float("nan")
        return CellOutcome(cell, nan, nan, nan, nan, positive, negative, count, "not finite")
    mean, stderr = float(values.mean()), float(values.std(ddof=1) / np.sqrt(count))
    half = float(stdtrit(count - 1, (1 + rules.level) / 2)) * stderr
    low, high = mean - half, mean + half
    # Where all seeds give the same number, its interval is a point up to rounding.
    outcome: Outcome = "for" if low > _ROUNDING else "against" if high < -_ROUNDING else "undecided"
    return CellOutcome(cell, mean, stderr, low, high, positive, negative, count, outcome)


def verdict_of(outcomes: Sequence[Outcome], rules: Judgement) -> GridVerdict:
    """The verdict of a finding from those of its cells.

    Args:
        outcomes: one for every cell.
        rules: what nearly all and some are.
    """
    total, good, bad = len(outcomes), outcomes.count("for"), outcomes.count("against")
    decided = good + bad
    if 2 * decided >= total and good >= rules.nearly_all * decided:
        return "HOLDS"
    if 2 * decided >= total and bad >= rules.nearly_all * decided:
        return "FAILS"
    return "DEPENDS" if min(good, bad) >= rules.some * total else "INCONCLUSIVE"
