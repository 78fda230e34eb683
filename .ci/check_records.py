"""Reads the records that `icl-theory verify --out DIR` wrote and decides whether the run is sound.

    python .ci/check_records.py DIR

Exit 0: sound; 1: one line on stderr for everything that is not. Needs nothing but the standard library.
"""

import csv
import json
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

EXPECTED: dict[str, str] = json.loads(
    (Path(__file__).parents[1] / "icl_theory" / "claims" / "expected_verdicts.json").read_text(encoding="utf-8")
)
"""label → verdict of every claim; a change of any of them, wanted or not, needs a change of that file."""

FEWEST_SPOILT = 2  # versions of every claim that must fail
LARGEST_PAGE = 2_000_000  # bytes
STANDARD_ERRORS = 6.0  # that an inequality must be clear by
UNSOUND = ("INCONCLUSIVE", "NONFINITE", "ERROR")
VERDICTS = ("HOLDS", "FAILS", "OUTSIDE", "VACUOUS", *UNSOUND)


def claim_problems(claim: dict[str, Any]) -> list[str]:
    """What is wrong with one claim."""
    label, verdict = claim["label"], claim["verdict"]
    problems = []
    if verdict not in VERDICTS:
        problems.append(f"{label}: got verdict {verdict!r}, expected one of {', '.join(VERDICTS)}")
    if verdict in UNSOUND:
        problems.append(f"{label}: {verdict}")
    if label in EXPECTED and verdict != EXPECTED[label]:
        problems.append(f"{label}: got {verdict}, expected {EXPECTED[label]}")
    if not claim["cases"]:
        problems.append(f"{label}: no case was looked at")
    controlled = sum(control["expected"] == "FAILS" for control in claim["controls"])
    if controlled < FEWEST_SPOILT:
        problems.append(
            f"{label}: {controlled} spoilt versions, expected {FEWEST_SPOILT}: that the check can fail is not shown"
        )
    for control in claim["controls"]:
        # `caught` is what the run says of itself; it must also follow from the two verdicts.
        if control["caught"] is not True or control["verdict"] != control["expected"]:
            got, expected = control["verdict"], control["expected"]
            problems.append(f"{label}: control {control['name']!r} slipped through: got {got}, expected {expected}")
    return problems


def record_problems(records: dict[str, Any]) -> list[str]:
    """What is wrong with the records as a whole, and with each claim."""
    if records.get("format") != 1:
        return [f"format: got {records.get('format')!r}, expected 1"]
    claims = records["claims"]
    labels = [claim["label"] for claim in claims]
    problems = [problem for claim in claims for problem in claim_problems(claim)]
    if records.get("standard_errors") != STANDARD_ERRORS:
        problems.append(f"standard_errors: got {records.get('standard_errors')}, expected {STANDARD_ERRORS}")
    problems += [f"{label}: listed twice" for label in sorted({x for x in labels if labels.count(x) > 1})]
    problems += [f"{label}: missing" for label in EXPECTED if label not in labels]
    if not records.get("environment"):
        problems.append("environment: empty, so the run cannot be told from another")
    return problems


def figure_problems(folder: Path) -> list[str]:
    """At least one PDF and one PNG, none of them empty, and of each figure both."""
    figures = {kind: sorted(folder.rglob(f"*.{kind}")) for kind in ("pdf", "png")}
    problems = [f"figures: no *.{kind} in the folder" for kind, paths in figures.items() if not paths]
    problems += [f"{path.name}: empty" for paths in figures.values() for path in paths if not path.stat().st_size]
    alone = {path.stem for path in figures["pdf"]} ^ {path.stem for path in figures["png"]}
    return problems + [f"{stem}: only one of PDF and PNG" for stem in sorted(alone)]


class Page(HTMLParser):
    """What the report says of the claims, read without a browser: verdict by label, rows of the ledger, addresses."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.verdicts: dict[str, str] = {}
        self.rows: list[str] = []
        self.outside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keeps what matters of one element."""
        found = {name: value or "" for name, value in attrs}
        if tag == "article":
            self.verdicts[found.get("id", "")] = found.get("data-verdict", "")
        if tag == "tr" and "data-verdict" in found:
            self.rows.append(found["data-verdict"])
        if tag in ("img", "link", "iframe", "object", "embed") or "src" in found or ":" in found.get("href", ""):
            self.outside.append(f"<{tag}>")


def page_problems(folder: Path, records: dict[str, Any]) -> list[str]:
    """The report: there, not too large, alone, and of the same opinion as the records."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    page, expected = Page(text), {claim["label"]: claim["verdict"] for claim in records["claims"]}
    problems = [f"report.html: asks for something outside: {tag}" for tag in page.outside]
    if len(text.encode("utf-8")) > LARGEST_PAGE:
        problems.append(f"report.html: got {len(text)} characters, expected at most {LARGEST_PAGE} bytes")
    if page.verdicts != expected or list(page.verdicts) != list(expected):
        problems.append("report.html: its claims and verdicts are not those of records.json")
    if page.rows != list(expected.values()):
        problems.append("report.html: its ledger is not that of records.json")
    return problems


def table_problems(folder: Path, records: dict[str, Any]) -> list[str]:
    """records.csv: well formed, one row per claim, the same numbers."""
    with (folder / "records.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    if [row["label"] for row in rows] != [claim["label"] for claim in records["claims"]]:
        return ["records.csv: its labels are not those of records.json"]
    problems = []
    for row, claim in zip(rows, records["claims"], strict=True):
        caught = sum(control["caught"] for control in claim["controls"])
        same = (
            row["verdict"] == claim["verdict"]
            and row["statement"] == claim["statement"]
            and int(row["cases"]) == len(claim["evidence"])
            and (int(row["controls"]), int(row["controls_caught"])) == (len(claim["controls"]), caught)
            and float(row["seconds"]) == claim["seconds"]
        )
        if not same or None in row or None in row.values():
            problems.append(f"records.csv: {claim['label']} does not agree with records.json")
    return problems


def counterexample_problems(folder: Path, records: dict[str, Any]) -> list[str]:
    """Every counterexample of the records is a file with the same content, and there is no other."""
    kept = {found["file"]: found for claim in records["claims"] for found in claim["counterexamples"]}
    there = {path.relative_to(folder).as_posix() for path in (folder / "counterexamples").glob("*.json")}
    problems = [f"{name}: in the records or in the folder, not in both" for name in sorted(there ^ set(kept))]
    for name in sorted(there & set(kept)):
        if json.loads((folder / name).read_text(encoding="utf-8")) != kept[name]["document"]:
            problems.append(f"{name}: not what the records say")
        if kept[name]["exact_confirmed"] is False:
            problems.append(f"{name}: its exact part does not break the statement")
    return problems


def reject_nonfinite(text: str) -> float:
    """NaN and Infinity are no JSON; strict readers refuse the file."""
    raise ValueError(f"the number {text}, which is not JSON")


def main(arguments: list[str]) -> int:
    """Print the problems; 0 if there are none."""
    if len(arguments) != 1:
        print("usage: python .ci/check_records.py DIR", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        text = (folder / "records.json").read_text(encoding="utf-8")
        records = json.loads(text, parse_constant=reject_nonfinite)
        problems = record_problems(records) + figure_problems(folder)
        for check in (page_problems, table_problems, counterexample_problems):
            problems += check(folder, records)
    except (OSError, ValueError) as error:
        problems = [f"a file of the run: {error}"]
    except (KeyError, TypeError, AttributeError) as error:
        problems = [f"a file of the run: not of the expected form ({type(error).__name__}: {error})"]
    for problem in problems:
        print(problem, file=sys.stderr)
    if not problems:
        counts = {v: sum(claim["verdict"] == v for claim in records["claims"]) for v in VERDICTS}
        found = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
        controls = sum(len(claim["controls"]) for claim in records["claims"])
        print(f"{len(records['claims'])} claims ({found}), {controls} controls caught; figures, report and table there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
