"""The evidence of a claim that is a finding on a registered grid: all cells, those of every level, the paper's cell."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.check import Evidence
from icl_theory.claims.engine.claim import Claim
from icl_theory.claims.engine.verdict import Verdict
from icl_theory.core.marks import literal
from icl_theory.grids.judgement import CellOutcome, JudgedFinding, cell_values, judge_values, verdict_of
from icl_theory.grids.records import shipped
from icl_theory.grids.registration import findings

DECIDING = 2
"""Factors that the note of a finding names."""


@lru_cache(maxsize=64)
def _values(name: str) -> np.ndarray:
    """Values of every cell and seed; a claim and its controls read the same."""
    return cell_values(findings()[name], shipped(findings()[name].grid))


def judged(claim: Claim) -> JudgedFinding:
    """The finding of a claim, as the claim reads it.

    Args:
        claim: a "trend".
    """
    finding = findings()[claim.finding]
    return judge_values(finding, shipped(finding.grid).grid, claim.read(_values(claim.finding)))


def grid_evidence(claim: Claim) -> list[Evidence]:
    """All cells first, whose verdict is that of the claim; then those of each level of a factor; then the paper's.

    Measured is the mean score, from -1 (all seeds of all cells against) to 1 (all for); for the cell nearest to the
    paper it is the mean value with its standard error over seeds.

    Args:
        claim: a "trend".
    """
    found = judged(claim)
    grid = shipped(found.finding.grid).grid
    deciding = ", ".join(f"{e.name} ({e.share:.0%})" for e in found.factors[:DECIDING])
    note = f"{_counts(found.cells)}; most of the scatter is that of {deciding}"
    evidence = [_of(f"all {len(found.cells)} cells", found.cells, Verdict(found.verdict), note, grid.seed)]
    for effect in found.factors:
        for level in effect.scores:
            cells = [cell for cell in found.cells if cell.cell[effect.name] == level]
            verdict = Verdict(verdict_of([cell.outcome for cell in cells], grid.judgement))
            evidence.append(_of(f"{effect.name} = {level}", cells, verdict, _counts(cells), grid.seed))
    cell = found.paper_cell
    if cell is not None:
        evidence.append(_of_cell(cell, grid.seed))
    return evidence


def _of(name: str, cells: Sequence[CellOutcome], verdict: Verdict, note: str, seed: int) -> Evidence:
    score = float(np.mean([(cell.seeds_for - cell.seeds_against) / cell.seeds for cell in cells]))
    return Evidence(verdict, name, seed, score, 0.0, score, note=literal(note))


def _of_cell(cell: CellOutcome, seed: int) -> Evidence:
    verdict = {"for": Verdict.HOLDS, "against": Verdict.FAILS, "not finite": Verdict.NONFINITE}.get(
        cell.outcome, Verdict.INCONCLUSIVE
    )
    levels = ", ".join(map(str, cell.cell.values()))
    note = f"{cell.seeds_for} of {cell.seeds} seeds for it, {cell.seeds_against} against; {levels}"
    slack = cell.mean / cell.stderr if cell.stderr > 0 else float(np.sign(cell.mean))
    name = "the cell nearest to the paper"
    return Evidence(verdict, name, seed, cell.mean, 0.0, slack, cell.stderr, note=literal(note))


def _counts(cells: Sequence[CellOutcome]) -> str:
    outcomes = [cell.outcome for cell in cells]
    rest = len(cells) - outcomes.count("for") - outcomes.count("against")
    return f"{outcomes.count('for')} cells for, {outcomes.count('against')} against, {rest} undecided"
