"""Findings on registered grids as text for a terminal."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from icl_theory.records.documents import from_plain

_FACTORS = 2
"""Factors that are named in the overview, the strongest ones."""


def findings_table(records: Sequence[dict[str, Any]]) -> Table:
    """One row per finding: verdict, cells for and against, what decides, and the cell nearest to the paper."""
    table = _table()
    for name in ("finding", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in ("for", "against", "un-\ndecided"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("nearest to\nthe paper", no_wrap=True)
    table.add_column("what decides", overflow="fold")
    for record in records:
        counts, cell = record["counts"], record["paper_cell"]
        undecided = counts["undecided"] + counts["not finite"]
        numbers = (str(counts["for"]), str(counts["against"]), str(undecided))
        strongest = ", ".join(f"{f['name']} {f['share']:.0%}" for f in record["factors"][:_FACTORS])
        table.add_row(record["name"], record["verdict"], *numbers, cell["outcome"] if cell else "-", strongest)
    return table


def factor_table(record: dict[str, Any]) -> Table:
    """One row per factor: how much it accounts for, and the mean score of every level."""
    table = _table()
    table.add_column("factor", no_wrap=True)
    table.add_column("accounts for", justify="right", no_wrap=True)
    table.add_column("score by level, from -1 (all seeds against) to +1 (all for)", overflow="fold")
    for factor in record["factors"]:
        low, high = map(from_plain, factor["interval"])
        scores = ", ".join(f"{level} {from_plain(score):+.2f}" for level, score in factor["scores"].items())
        table.add_row(factor["name"], f"{factor['share']:.0%} ({max(low, 0.0):.0%} to {high:.0%})", scores)
    return table


def finding_lines(record: dict[str, Any]) -> list[str]:
    """Statement, value, verdict, counts, and what the cell nearest to the paper says."""
    counts, cell = record["counts"], record["paper_cell"]
    total = sum(counts.values())
    lines = [
        f"{record['name']}: {record['statement']}",
        f"  {record['source']}; registered {record['registered']}",
        f"  value of a cell and seed: {record['value']}",
        f"  {record['verdict']}: "
        + ", ".join(f"{n} {outcome}" for outcome, n in counts.items())
        + f" of {total} cells",
    ]
    if cell is not None:
        levels = ", ".join(f"{name} {level}" for name, level in cell["levels"].items())
        low, high = map(from_plain, cell["interval"])
        numbers = f"{from_plain(cell['mean']):.3g} ({low:.3g} to {high:.3g}), {cell['seeds_for']} seeds for"
        lines.append(
            f"  nearest to the paper ({levels}): {cell['outcome']}, {numbers}, {cell['seeds_against']} against"
        )
    return lines


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
