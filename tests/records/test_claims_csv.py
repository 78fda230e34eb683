"""records.csv against records.json, column by column, each computed again from the other file."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from ledger import CLAIMS, document
from schema import SCHEMA, problems

from icl_theory.records.claims_csv import COLUMNS, VERDICTS, table
from icl_theory.records.files import write_json

KNOWN = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
POPULATION = {
    **{"seeds": 5, "mean": -0.25, "stderr": 0.125, "quantile": 7.17, "low": -1.15, "high": 0.65},
    **{"seeds_for": 2, "seeds_against": 3, "chance": 0.001},
}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The ledger as it comes back from records.json, with a population, and controls of every kind."""
    made = document()
    made["claims"][2]["over_seeds"] = dict(POPULATION)
    made["claims"][0]["seconds"] = 1 / 3
    # A control that had to hold and did, one that failed and should not have.
    made["claims"][4]["controls"][0] |= {"verdict": "HOLDS", "expected": "HOLDS", "caught": True}
    made["claims"][4]["controls"][1] |= {"verdict": "FAILS", "expected": "HOLDS", "caught": False}
    made["claims"][5]["controls"][0] |= {"verdict": "HOLDS", "expected": "HOLDS", "caught": True}
    path = write_json(tmp_path_factory.mktemp("run") / "records.json", made)
    found = json.loads(Path(path).read_text(encoding="utf-8"))
    assert problems(found) == []
    return found


@pytest.fixture(scope="module")
def rows(records: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {row["label"]: row for row in csv.DictReader(io.StringIO(table(records), newline=""))}


def number(value: Any) -> float:
    return KNOWN[value] if isinstance(value, str) else float(value)


def spelt(value: Any) -> str:
    """A cell, from what JSON holds: words and numbers as they are, true and false, nothing for null."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def expected(claim: dict[str, Any]) -> dict[str, str]:
    """Every cell of a claim's row, without anything of the module under test."""
    copied = (
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
    )
    row = {name: claim[name] for name in (*copied, "proved", "seconds")}
    row |= {name: claim[name].replace("$", "") for name in ("source", "statement")}
    for verdict in ("HOLDS", "FAILS", "DEPENDS", "VACUOUS", "OUTSIDE", "INCONCLUSIVE", "NONFINITE", "ERROR"):
        row[verdict.lower()] = len([item for item in claim["evidence"] if item["verdict"] == verdict])
    row["cases"] = len(claim["evidence"])
    row["controls"] = len(claim["controls"])
    row["controls_caught"] = len([c for c in claim["controls"] if c["verdict"] == c["expected"]])
    row["counterexamples"] = len(claim["counterexamples"])
    population = claim["over_seeds"] or {}
    for name in ("seeds", "mean", "stderr", "low", "high"):
        row[f"over_seeds_{name}"] = population.get(name)
    row |= {name: population.get(name) for name in ("seeds_for", "seeds_against")}
    lowest = None
    for item in claim["evidence"]:
        if item["slack"] != "nan" and (lowest is None or number(item["slack"]) < number(lowest["slack"])):
            lowest = item
    for name in ("slack", "case", "measured", "predicted", "stderr"):
        row[f"worst_{name}"] = None if lowest is None else lowest[name]
    row["slack_unit"] = None if lowest is None else "standard errors" if number(lowest["stderr"]) > 0 else "relative"
    return {name: spelt(value) for name, value in row.items()}


def test_columns(records: dict[str, Any]) -> None:
    """The columns are these in this order."""
    first = next(csv.reader(io.StringIO(table(records), newline="")))
    assert tuple(first) == COLUMNS
    assert set(COLUMNS) == set(expected(records["claims"][0]))
    assert len(set(COLUMNS)) == len(COLUMNS)
    assert [name for name in COLUMNS if name.upper() in VERDICTS] == [verdict.lower() for verdict in VERDICTS]
    assert set(VERDICTS) == set(SCHEMA["$defs"]["verdict"]["enum"])


@pytest.mark.parametrize("label", [claim.label for claim in CLAIMS])
def test_cells(records: dict[str, Any], rows: dict[str, dict[str, str]], label: str) -> None:
    """Every cell says what the records say."""
    [claim] = [claim for claim in records["claims"] if claim["label"] == label]
    for name, cell in expected(claim).items():
        assert rows[label][name] == cell, name


def test_rows(records: dict[str, Any], rows: dict[str, dict[str, str]]) -> None:
    """There is one row for each claim in its order."""
    assert list(rows) == [claim["label"] for claim in records["claims"]] == [claim.label for claim in CLAIMS]
    assert all(None not in row and None not in row.values() for row in rows.values())  # no cell more, none fewer


def test_counts_of_cases_add_up(rows: dict[str, dict[str, str]]) -> None:
    """And the ledger has what is known of it by hand: six cases, the seventh power of ten above 500."""
    for row in rows.values():
        assert sum(int(row[verdict.lower()]) for verdict in VERDICTS) == int(row["cases"]) == 6
    assert (rows["fails"]["holds"], rows["fails"]["fails"], rows["fails"]["counterexamples"]) == ("3", "3", "1")
    assert (rows["equal"]["holds"], rows["vacuous"]["vacuous"], rows["outside"]["outside"]) == ("6", "6", "6")
    assert (rows["undecided"]["inconclusive"], rows["not_finite"]["nonfinite"]) == ("6", "6")


def test_units_by_hand(rows: dict[str, dict[str, str]]) -> None:
    """10⁵ against 500 is off by 0.995 of itself; 5 ± 0.1 is 40 standard errors above 1; 1 ± 0.5 is 2 below 2."""
    worst = {label: (row["worst_slack"], row["slack_unit"], row["worst_stderr"]) for label, row in rows.items()}
    assert float(worst["fails"][0]) == pytest.approx(-0.995)
    assert worst["fails"][1:] == ("relative", "0.0")
    assert float(worst["sampled"][0]) == pytest.approx(40)
    assert worst["sampled"][1:] == ("standard errors", "0.1")
    assert float(worst["undecided"][0]) == pytest.approx(2)
    assert worst["undecided"][1:] == ("standard errors", "0.5")
    assert worst["outside"] == worst["not_finite"] == ("", "", "")
    assert (rows["fails"]["worst_measured"], rows["fails"]["worst_predicted"]) == ("100000.0", "500.0")
    assert rows["fails"]["worst_case"].endswith("seed 5")
    assert rows["vacuous"]["worst_predicted"] == "inf"


def test_booleans_by_hand(rows: dict[str, dict[str, str]]) -> None:
    """Of the two controls of EQUAL both are caught; measured elsewhere, the second comes out true or open."""
    assert (rows["equal"]["controls"], rows["equal"]["controls_caught"], rows["equal"]["sound"]) == ("2", "2", "true")
    assert (rows["not_finite"]["controls"], rows["not_finite"]["sound"]) == ("0", "false")
    assert int(rows["undecided"]["controls_caught"]) < 2
    assert (rows["vacuous"]["controls"], rows["vacuous"]["controls_caught"]) == ("2", "1")
    assert rows["outside"]["controls_caught"] == "1"
    assert {row["proved"] for row in rows.values()} == {"true", "false", ""}
    assert (rows["vacuous"]["informative"], rows["equal"]["informative"]) == ("false", "")


def test_numbers_bit_by_bit(records: dict[str, Any], rows: dict[str, dict[str, str]]) -> None:
    """Numbers come back bit by bit."""
    assert float(rows["equal"]["seconds"]) == 1 / 3
    for claim in records["claims"]:
        found = [number(item["slack"]) for item in claim["evidence"] if item["slack"] != "nan"]
        cell = rows[claim["label"]]["worst_slack"]
        assert cell == "" if not found else float(cell) == min(found)


def test_line_breaks(records: dict[str, Any]) -> None:
    """A cell may have a line break of its own."""
    records = json.loads(json.dumps(records))
    records["claims"][0]["statement"] = 'two\nlines, a comma and a "quote"'
    text = table(records)
    assert text.endswith("\n")
    assert text.count("\n") == 1 + len(CLAIMS) + 1
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["statement"] == 'two\nlines, a comma and a "quote"'
