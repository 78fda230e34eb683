"""records.csv: one row per claim, for spreadsheets and data frames; nothing that is not in records.json."""

import math
from typing import Any

from icl_theory.core.marks import unmarked
from icl_theory.records.documents import from_plain
from icl_theory.records.tables import csv_text

VERDICTS = ("HOLDS", "FAILS", "DEPENDS", "VACUOUS", "OUTSIDE", "INCONCLUSIVE", "NONFINITE", "ERROR")
COLUMNS = (
    "label",
    "package",
    "section",
    "origin",
    "relation",
    "verdict",
    "expected",
    "flip",
    "informative",
    "sound",
    "cases",
    *(verdict.lower() for verdict in VERDICTS),
    "worst_slack",
    "slack_unit",
    "worst_case",
    "worst_measured",
    "worst_predicted",
    "worst_stderr",
    "over_seeds_seeds",
    "over_seeds_mean",
    "over_seeds_stderr",
    "over_seeds_low",
    "over_seeds_high",
    "seeds_for",
    "seeds_against",
    "controls",
    "controls_caught",
    "proved",
    "counterexamples",
    "seconds",
    "source",
    "statement",
)
"""Of records.csv, in this order. `worst_slack` is the smallest signed margin in favour of the statement (negative: on
the wrong side), relative to the numbers or in standard errors as `slack_unit` says. The seven columns after it are the
interval over seeds of a statement about a population, and the seeds for and against it."""


def table(records: dict[str, Any]) -> str:
    """The claims of a `verify` document as comma-separated values, spelt as in `csv_text`."""
    return csv_text(COLUMNS, map(row_of, records["claims"]))


def worst(claim: dict[str, Any]) -> dict[str, Any] | None:
    """The evidence with the smallest slack; None if no case has one."""
    known = [item for item in claim["evidence"] if not math.isnan(from_plain(item["slack"]))]
    return min(known, key=lambda item: from_plain(item["slack"]), default=None)


def row_of(claim: dict[str, Any]) -> dict[str, Any]:
    """The columns of one claim of a `verify` document, in the order of COLUMNS."""
    names = ("label", "package", "section", "origin", "relation", "verdict", "expected", "flip")
    row = {name: claim[name] for name in (*names, "informative", "sound", "proved", "seconds")}
    row |= {name: unmarked(claim[name]) for name in ("source", "statement")}
    row |= {verdict.lower(): claim["cases"].get(verdict, 0) for verdict in VERDICTS}
    row |= {"cases": len(claim["evidence"]), "counterexamples": len(claim["counterexamples"])}
    row |= {"controls": len(claim["controls"]), "controls_caught": sum(c["caught"] for c in claim["controls"])}
    found = claim["over_seeds"] or {}
    row |= {f"over_seeds_{name}": found.get(name) for name in ("seeds", "mean", "stderr", "low", "high")}
    row |= {name: found.get(name) for name in ("seeds_for", "seeds_against")}
    item = worst(claim)
    names = ("worst_slack", "slack_unit", "worst_case", "worst_measured", "worst_predicted", "worst_stderr")
    if item is None:
        return _ordered(row | dict.fromkeys(names))
    unit = "standard errors" if from_plain(item["stderr"]) > 0 else "relative"
    values = (item["slack"], unit, item["case"], item["measured"], item["predicted"], item["stderr"])
    return _ordered(row | dict(zip(names, values, strict=True)))


def _ordered(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in COLUMNS}
