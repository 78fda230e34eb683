"""A run over many claims on one screen: how many of each origin met which verdict, and which do not hold."""

import textwrap
from collections import Counter
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from icl_theory.core.marks import unmarked
from icl_theory.report.terminal.tables import COLOURS

MOST_ROWS = 12
"""Claims up to which a run prints a row for each, with its evidence."""
ORIGINS = {"paper": "as printed", "reading": "our reading", "repaired": "repaired", "new": "ours"}
"""How the table calls an origin, in its order."""


def overview(records: dict[str, Any], width: int) -> list[Any]:
    """A table of counts, the labels of whatever does not hold, and how to see more."""
    claims = records["claims"]
    verdicts = [name for name in COLOURS if any(claim["verdict"] == name for claim in claims)]
    lines: list[Any] = [_counts(claims, verdicts), ""]
    for origin in ORIGINS:
        for verdict in (name for name in verdicts if name != "HOLDS"):
            labels = [c["label"] for c in claims if (c["verdict"], c["origin"]) == (verdict, origin)]
            if labels and not (verdict == "OUTSIDE" and records.get("settings")):
                lines += [
                    Text.assemble(f"{ORIGINS[origin]}, ", (verdict, COLOURS[verdict]), ":"),
                    _filled(labels, width),
                ]
    if records.get("settings"):
        lines += _outside(claims, width)
    more = "`icl-theory explain LABEL` says more of a claim, --table prints all with their evidence, --out DIR a report"
    return [*lines, "", textwrap.fill(more, max(width, 20)), ""]


def _filled(labels: list[str], width: int) -> str:
    return textwrap.fill(", ".join(labels), max(width - 2, 20), initial_indent="  ", subsequent_indent="  ")


def _outside(claims: list[dict[str, Any]], width: int) -> list[Any]:
    """The claims that the settings of a run do not have cases for, by the reason."""
    reasons: dict[str, list[str]] = {}
    for claim in claims:
        if claim["verdict"] == "OUTSIDE":
            reasons.setdefault(unmarked(claim["evidence"][0]["note"]), []).append(claim["label"])
    lines: list[Any] = []
    for reason in sorted(reasons, key=lambda reason: -len(reasons[reason])):
        head = textwrap.fill(f"OUTSIDE, {reason}:", max(width, 20)).removeprefix("OUTSIDE")
        lines += [Text.assemble(("OUTSIDE", COLOURS["OUTSIDE"]), head), _filled(reasons[reason], width)]
    return lines


def _counts(claims: list[dict[str, Any]], verdicts: list[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("statements", no_wrap=True)
    for verdict in verdicts:
        table.add_column(Text(verdict, COLOURS[verdict]), justify="right", no_wrap=True)
    found = Counter((claim["origin"], claim["verdict"]) for claim in claims)
    for origin, words in ORIGINS.items():
        if any(found[origin, verdict] for verdict in verdicts):
            table.add_row(words, *(str(found[origin, verdict] or "-") for verdict in verdicts))
    return table
