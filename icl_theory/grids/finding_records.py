"""Judged findings as plain records, and their rows."""

from collections.abc import Sequence
from typing import Any

from icl_theory.grids.judgement import CellOutcome, JudgedFinding
from icl_theory.records.tables import csv_text

OUTCOMES = ("for", "against", "undecided", "not finite")


def finding_record(judged: JudgedFinding) -> dict[str, Any]:
    """A judged finding with every cell, ready for JSON.

    Args:
        judged: as `judge` returns it.
    """
    finding = judged.finding
    paper = judged.paper_cell
    return {
        "name": finding.name,
        "verdict": judged.verdict,
        "origin": finding.origin,
        "source": finding.source,
        "statement": finding.statement,
        "value": finding.value,
        "margin": finding.margin,
        "registered": finding.registered,
        "counts": {outcome: judged.count(outcome) for outcome in OUTCOMES},
        "paper_cell": None if paper is None else _cell(paper),
        "factors": [
            {
                "name": effect.name,
                "share": effect.share,
                "interval": [effect.low, effect.high],
                "scores": {str(level): score for level, score in effect.scores.items()},
            }
            for effect in judged.factors
        ],
        "cells": [_cell(cell) for cell in judged.cells],
    }


def _cell(cell: CellOutcome) -> dict[str, Any]:
    return {
        "levels": cell.cell,
        "outcome": cell.outcome,
        "mean": cell.mean,
        "interval": [cell.low, cell.high],
        "seeds_for": cell.seeds_for,
        "seeds_against": cell.seeds_against,
        "seeds": cell.seeds,
    }


def findings_csv(records: Sequence[dict[str, Any]]) -> str:
    """One row per finding and cell; levels that a finding does not have are empty.

    Args:
        records: as `finding_record` makes them.
    """
    factors = list(dict.fromkeys(name for record in records for cell in record["cells"] for name in cell["levels"]))
    rows = []
    for record in records:
        for cell in record["cells"]:
            row = {"finding": record["name"], "verdict": record["verdict"]}
            row |= {name: cell["levels"].get(name, "") for name in factors}
            row |= {"outcome": cell["outcome"], "mean": cell["mean"]}
            row |= {"low": cell["interval"][0], "high": cell["interval"][1]}
            row |= {name: cell[name] for name in ("seeds_for", "seeds_against", "seeds")}
            rows.append(row)
    return csv_text(list(rows[0]), rows)
