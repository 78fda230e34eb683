"""Is what `icl-theory verify --out DIR` left in DIR complete, of one piece, and what it is known to be?

    python .ci/check_records.py DIR

Exit 0: yes; 1: one line on stderr for everything that is not. Whether a run is sound is reported by the exit
status of `verify` itself; here a changed verdict on a printed statement is an error too, which for a user is news.
"""

import json
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from icl_theory.claims.engine.expected_verdicts import expected_verdicts
from icl_theory.records.claims_csv import table
from icl_theory.report.page.document import page

FIGURES = ("bound_versus_rank.pdf", "bound_versus_rank.png")


def schema_problems(records: Any) -> list[str]:
    """Where the records break the schema that ships with the package."""
    text = (files("icl_theory.records") / "records.schema.json").read_text(encoding="utf-8")
    errors = Draft202012Validator(json.loads(text)).iter_errors(records)
    return [f"records.json: {error.json_path}: {error.message[:200]}" for error in errors]


def verdict_problems(records: dict[str, Any]) -> list[str]:
    """Claims of ours that are missing or not of their known verdict; claims that are unsound or were not examined."""
    claims, known = records["claims"], expected_verdicts()
    found = {claim["label"]: claim["verdict"] for claim in claims}
    problems = [
        f"{label}: got {found.get(label, 'no such claim')}, expected {verdict}"
        for label, verdict in known.items()
        if found.get(label) != verdict
    ]
    if len(found) < len(claims):
        problems.append(f"got {len(claims)} claims under {len(found)} labels, expected each once")
    for claim in claims:
        if not claim["evidence"] or not claim["controls"]:
            problems.append(f"{claim['label']}: no case or no control was examined")
        if not claim["sound"] or any(c["verdict"] != c["expected"] for c in claim["controls"]):
            problems.append(f"{claim['label']}: not sound")
    return problems


def file_problems(folder: Path, records: dict[str, Any]) -> list[str]:
    """Files next to the records that are missing, empty, too many, or do not say the same."""
    kept = [found for claim in records["claims"] for found in claim["counterexamples"]]
    problems = [f"{found['file']}: does not break the statement" for found in kept if found["exact_confirmed"] is False]
    there = {path.relative_to(folder).as_posix() for path in (folder / "counterexamples").glob("*.json")}
    names = {found["file"] for found in kept}
    problems += [f"{name}: in the records or in the folder, not in both" for name in sorted(there ^ names)]
    kept = [found for found in kept if found["file"] in there]
    same = {found["file"]: _json(folder / found["file"]) == found["document"] for found in kept}
    for name, made in (("records.csv", table(records)), ("report.html", page(records))):
        same[name] = (folder / name).read_bytes() == made.encode("utf-8")
    problems += [f"{name}: not what the records say" for name, equal in same.items() if not equal]
    return problems + [f"{name}: empty" for name in FIGURES if not (folder / name).stat().st_size]


def problems(folder: Path) -> list[str]:
    """Everything that is wrong with a run. Raises: OSError or ValueError for files that cannot be read."""
    records = _json(folder / "records.json")
    return schema_problems(records) or verdict_problems(records) + file_problems(folder, records)


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"), parse_constant=_not_json)


def _not_json(text: str) -> float:
    """NaN and Infinity are no JSON; strict readers reject the file."""
    raise ValueError(f"the number {text}, which is not JSON")


def main(arguments: list[str]) -> int:
    """Print the problems; 0 if there are none."""
    if len(arguments) != 1:
        print("usage: python .ci/check_records.py DIR", file=sys.stderr)
        return 2
    try:
        found = problems(Path(arguments[0]))
    except (OSError, ValueError) as error:
        found = [f"a file of the run: {error}"]
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"{arguments[0]}: records, report, table, figures and counterexamples agree, all verdicts as known")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
