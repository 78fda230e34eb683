"""What the command `verify` says: the document or the table on standard output, remarks on standard error."""

import sys
from pathlib import Path
from typing import Any

from icl_theory.core.marks import unmarked
from icl_theory.records.documents import to_json
from icl_theory.report.terminal import console, plain_text, sweep_tables, tables
from icl_theory.report.terminal.comparison import comparison_lines
from icl_theory.report.terminal.overview import MOST_ROWS, overview


def show(records: dict[str, Any], changes: dict[str, Any] | None, *, as_json: bool, whole: bool = False) -> None:
    """Records and, if there are any, `changes` since another run (`compare.compare`): one document, or tables.

    Of many claims an overview is printed, unless `whole`: a row for each.
    """
    if as_json:
        sys.stdout.write(to_json(records if changes is None else records | {"changes": changes}))
        return
    records = records if console.shows_greek() else plain_text.ascii_records(records)
    sweep = [sweep_tables.sweep_table(records["sweep"], console.output().width), ""] if records["sweep"] else []
    changed = [] if changes is None else ["", *comparison_lines(changes)]
    width = console.output().width
    if not whole and len(records["claims"]) > MOST_ROWS:
        shown = overview(records, width)
    elif width < tables.NARROWEST:
        shown = tables.claims_list(records, width)
    else:
        shown = [tables.claims_table(records, width), ""]
    console.show(*shown, *(sweep if whole or len(records["claims"]) <= MOST_ROWS else []), tables.summary(records))
    console.show(*changed)


def log_notes(records: dict[str, Any], out: str | None) -> None:
    """Where the report lies, and everything that makes the run unsound."""
    if kept := records.get("kept_ensembles"):
        count = f"{len(kept)} trained ensemble{'s' * (len(kept) > 1)}"
        console.log(f"{count} kept from an earlier run ({'; '.join(kept)}); --no-cache trains anew")
    idle = sum(not control["caught"] for claim in records["claims"] for control in claim["controls"] if claim["sound"])
    if idle:
        count = f"{idle} control{'s' * (idle > 1)} made for the usual settings"
        console.log(f"{count} did not bite in these; records.json and --json have them")
    if out is not None:
        page = Path(out) / "report.html"
        console.log(f"the report is {page}; the other files are in the same directory")
    for claim in records["claims"]:
        if claim["flip"] == "changed":
            console.log(f"changed: {claim['label']}: known {claim['expected']}, now {claim['verdict']}")
        if not claim["sound"]:
            console.log(f"not sound: {claim['label']}: {unmarked('; '.join(_reasons(claim)))}")


def _reasons(claim: dict[str, Any]) -> list[str]:
    """Everything that makes one claim unsound."""
    slipped = [f"{c['name']}{c['note'] and ': '}{c['note']}" for c in claim["controls"] if not c["caught"]]
    reasons = []
    if claim["verdict"] == "ERROR":
        note = next(item["note"] for item in claim["evidence"] if item["verdict"] == "ERROR")
        origin = f" in {claim['package']}" if claim["package"] else ""
        reasons.append(f"ERROR{origin}: {note}")
    elif claim["verdict"] in ("INCONCLUSIVE", "NONFINITE"):
        reasons.append(claim["verdict"])
    if claim["flip"] == "regression" and claim["verdict"] != "ERROR":
        reasons.append(f"a regression: {claim['verdict']}, known to be {claim['expected']}")
    if slipped:
        reasons.append(f"controls not caught: {', '.join(slipped)}")
    if claim["proved"] is False:
        reasons.append(f"derivation ended by {claim['proof_note']}" if claim["proof_note"] else "derivation false")
    return reasons or ["none of its controls can be tried in these settings"]
