"""records.json keeps to its schema, records.csv says the same, and two runs can be compared."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers import error_message
from jsonschema import Draft202012Validator
from ledger import CLAIMS, cases, derivation, document
from schema import SCHEMA, problems
from sweep_records import sweep

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.claim import Assumption
from icl_theory.claims.engine.examine import examine
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.record import record
from icl_theory.records.claims_csv import COLUMNS, VERDICTS, table, worst
from icl_theory.records.compare import compare, read_run
from icl_theory.records.documents import from_plain, to_plain
from icl_theory.records.files import write_json
from icl_theory.report.terminal.comparison import comparison_lines


def test_schema() -> None:
    """The records keep to the schema."""
    assert problems(document()) == []
    assert problems(document() | {"sweep": sweep()}) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("seed"),
        lambda d: d.update(seed=True),
        lambda d: d.update(extra=1),
        lambda d: d.update(format=1),
        lambda d: d["claims"][0].update(verdict="MAYBE"),
        lambda d: d["claims"][0].update(label="../up"),
        lambda d: d["claims"][0].pop("tolerance"),
        lambda d: d["claims"][0]["evidence"][0].update(slack=None),
        lambda d: d["claims"][0]["evidence"][0].update(measured="infinity"),
        lambda d: d["claims"][0]["controls"][0].update(caught=1),
        lambda d: d["claims"][0]["cases"].update(HOLDS=0),
        lambda d: d["claims"][1]["counterexamples"][0]["document"].pop("case"),
        lambda d: d["sweep"].append({"seed": 0}),
    ],
)
def test_schema_sees_errors(damage: Any) -> None:
    """The schema sees what is wrong."""
    damaged = document()
    damage(damaged)
    assert problems(damaged) != []


def keywords(schema: Any) -> Iterator[str]:
    """Every keyword in a schema; what stands under `properties` and `$defs` are names, not keywords."""
    for word, inner in schema.items() if isinstance(schema, dict) else ():
        yield word
        named = inner.values() if word in ("properties", "$defs") else inner if word == "anyOf" else [inner]
        for part in named:
            yield from keywords(part)


def test_schema_keywords() -> None:
    """A misspelt keyword demands nothing, and jsonschema does not complain."""
    known = {*Draft202012Validator.VALIDATORS, "$schema", "$defs", "title", "description"}
    Draft202012Validator.check_schema(SCHEMA)
    assert set(keywords(SCHEMA)) <= known
    assert set(keywords({"anyOf": [{"properties": {"a": {"requierd": []}}}]})) - known == {"requierd"}


def test_fields_explained() -> None:
    """Every field of a record is explained or speaks for itself."""
    claim = SCHEMA["$defs"]["claim"]
    assert set(claim["required"]) == set(claim["properties"]) == set(document()["claims"][0])
    assert list(claim["properties"]) == list(document()["claims"][0])


def test_assumptions() -> None:
    """A record says how each assumption fared."""
    first = Assumption("the seed is below 4", lambda case: case.seed < 4)
    second = Assumption("even seeds", lambda case: case.seed % 2 == 0, lambda case: case.seed != 3)
    claim = CLAIMS[0]
    claim = type(claim)(**{**vars(claim), "assumptions": (first, second)})
    made = record(examine(claim, CaseFactory(PROFILES["quick"], 0)))
    assert made["assumptions"] == [
        {"sentence": "the seed is below 4", "held": 4, "broken": 2, "unattainable": 0},
        {"sentence": "even seeds", "held": 2, "broken": 1, "unattainable": 1},
    ]
    assert made["cases"] == {"HOLDS": 2, "OUTSIDE": 3, "VACUOUS": 1}
    assert made["package"] is None


def test_counterexample() -> None:
    """A record keeps the counterexample and whether it breaks the statement."""
    [kept] = document()["claims"][1]["counterexamples"]
    assert kept["file"] == "counterexamples/fails.json"
    assert kept["exact_confirmed"] is True
    assert kept["document"]["case"]["seed"] == 5
    # The control: one that does not break it is recorded as such.
    weak = type(CLAIMS[1])(**{**vars(CLAIMS[1]), "verify_exact": lambda exact: False})
    made = record(examine(weak, CaseFactory(PROFILES["quick"], 0)))
    assert made["counterexamples"][0]["exact_confirmed"] is False


def test_words_from_docstrings() -> None:
    """Words come from docstrings and are never made up."""
    first, sampled = document()["claims"][0], document()["claims"][2]
    assert first["proof"] == derivation.__doc__
    assert (first["measures"], first["predicts"], sampled["measures"]) == ("", "", "")
    assert len(cases(CaseFactory(PROFILES["quick"], 0))) == len(first["evidence"])


def test_table() -> None:
    """The table has one row per claim and the same numbers."""
    text = table(document())
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert tuple(rows[0]) == COLUMNS
    claims = document()["claims"]
    assert [row["label"] for row in rows] == [claim["label"] for claim in claims]
    for row, claim in zip(rows, claims, strict=True):
        assert row["statement"] == claim["statement"].replace("$", "")
        assert "$" in claim["statement"]
        assert row["verdict"] == claim["verdict"]
        assert {name: int(row[name.lower()]) for name in VERDICTS if row[name.lower()] != "0"} == claim["cases"]
        assert int(row["cases"]) == len(claim["evidence"])
        assert int(row["controls_caught"]) == sum(c["caught"] for c in claim["controls"])
        assert row["sound"] == str(claim["sound"]).lower()
        slacks = [from_plain(item["slack"]) for item in claim["evidence"] if item["slack"] != "nan"]
        assert row["worst_slack"] == ("" if not slacks else str(to_plain(min(slacks))))
        assert row["slack_unit"] in ("", "relative", "standard errors")
    by_label = {row["label"]: row for row in rows}
    assert by_label["vacuous"]["worst_predicted"] == "inf"
    assert by_label["not_finite"]["worst_slack"] == ""
    assert by_label["not_finite"]["package"].startswith("foreign 1.0 </script>")
    assert by_label["sampled"]["slack_unit"] == "standard errors"
    assert by_label["equal"]["package"] == by_label["never_seen"]["proved"] == ""
    assert by_label["equal"]["proved"] == "true"
    assert by_label["not_finite"]["proved"] == "false"
    assert float(by_label["fails"]["worst_slack"]) < 0


def test_worst_case() -> None:
    """The worst case is the one with the least slack."""
    claim = document()["claims"][1]
    item = worst(claim)
    assert item is not None
    assert item["seed"] == 5
    assert worst(claim | {"evidence": []}) is None


def test_equal_runs() -> None:
    """Two equal runs differ in nothing."""
    same = compare(document(), document(), [claim.label for claim in CLAIMS])
    assert same["same"] == len(CLAIMS)
    assert not any(same[name] for name in same if name != "same")
    assert comparison_lines(same) == [f"compared: 0 verdicts changed, {len(CLAIMS)} claims the same"]


def test_comparison() -> None:
    """A comparison names everything that changed."""
    old, new = document(), document()
    old["claims"][0]["verdict"] = "FAILS"
    old["claims"][0]["proved"] = None
    old["claims"][1]["controls"][0]["caught"] = not new["claims"][1]["controls"][0]["caught"]
    old["claims"][1]["controls"][1]["name"] = "an earlier one"
    old["seed"], old["environment"]["jax"] = 7, "0.1"
    gone, asked = old["claims"].pop(2), new["claims"].pop(3)
    old["claims"].append(gone | {"label": "of_old", "verdict": "VACUOUS"})
    known = [claim.label for claim in CLAIMS]
    changes = compare(old, new, known)
    assert changes["verdicts"] == [{"label": "equal", "old": "FAILS", "new": "HOLDS"}]
    assert changes["proofs"] == [{"label": "equal", "old": None, "new": True}]
    assert changes["new"] == [{"label": "sampled", "verdict": "HOLDS"}]
    assert changes["gone"] == [{"label": "of_old", "verdict": "VACUOUS"}]
    assert changes["not_run"] == [{"label": asked["label"], "verdict": asked["verdict"]}]
    assert [(c["label"], c["old"], c["new"]) for c in changes["controls"]] == [
        ("fails", "caught", "not caught"),
        ("fails", "caught", "absent"),
        ("fails", "absent", "caught"),
    ]
    assert {c["name"] for c in changes["settings"]} == {"seed", "jax"}
    assert changes["same"] == len(new["claims"]) - 1 - 2
    lines = comparison_lines(changes)
    for line in ("equal: FAILS → HOLDS", "sampled: new HOLDS", "of_old: gone, was VACUOUS", "setting seed: 7 → 0"):
        assert line in lines
    assert lines[-1] == "compared: 1 verdict changed, 4 claims the same"
    # Where claims were picked by name, a missing one is not gone.
    assert compare(old, new)["gone"] == []
    assert len(compare(old, new)["not_run"]) == 2
    json.dumps(changes, allow_nan=False)


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"format": 2},
        {"format": 1, "claims": []},
        {"format": 2, "claims": {}},
        {"format": 2, "claims": [{"label": "x"}]},
        {"format": 2, "claims": [{"label": "x", "verdict": "HOLDS", "controls": [{"name": "y"}]}]},
        {"format": 2, "claims": [{"label": "x", "verdict": "HOLDS", "controls": [], "proved": "yes"}]},
        {"format": 2, "configuration": {}, "sweep": []},
    ],
)
def test_what_is_no_run(tmp_path: Path, content: Any) -> None:
    """What is no run is an error."""
    path = write_json(tmp_path / "other.json", content)
    assert "compare: got" in error_message(read_run, path)


def test_read_run(tmp_path: Path) -> None:
    """A run is read from its file or its directory."""
    path = write_json(tmp_path / "records.json", document())
    assert read_run(path) == read_run(tmp_path) == document()
    assert "make it first" in error_message(read_run, tmp_path / "missing.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    assert "JSON" in error_message(read_run, tmp_path / "broken.json")
