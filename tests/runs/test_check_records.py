"""The check that CI makes of a run's files finds nothing in sound ones, and something in every spoilt one."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ledger import document

from icl_theory.records.claims_csv import table
from icl_theory.records.files import write_json
from icl_theory.report.page.document import page

SCRIPT = Path(__file__).parents[2] / ".ci" / "check_records.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_records", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records = document()
    (tmp_path / "report.html").write_text(page(records), encoding="utf-8")
    (tmp_path / "records.csv").write_text(table(records), encoding="utf-8", newline="")
    for claim in records["claims"]:
        for found in claim["counterexamples"]:
            write_json(tmp_path / found["file"], found["document"])
    write_json(tmp_path / "records.json", records)
    return tmp_path


def problems(script: ModuleType, folder: Path, records: dict[str, Any]) -> list[str]:
    checks = (script.page_problems, script.table_problems, script.counterexample_problems)
    return [problem for check in checks for problem in check(folder, records)]


def test_sound_files_pass(script: ModuleType, folder: Path) -> None:
    assert problems(script, folder, json.loads((folder / "records.json").read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (
            "report.html",
            '<article class="claim v-holds" id="equal" data-verdict="HOLDS"',
            "<article",
            "claims and verdicts",
        ),
        ("report.html", '<tr role="row" data-verdict="HOLDS"', '<tr data-verdict="FAILS"', "its ledger"),
        ("report.html", "<main>", '<main><img src="x.png">', "<img>"),
        ("report.html", "<main>", '<main><a href="https://example.org">', "<a>"),
        ("report.html", "<main>", "<main>" + "x" * 2_000_001, "at most"),
        ("records.csv", ",HOLDS,", ",FAILS,", "equal does not agree"),
        ("records.csv", "\r\nfails,", "\r\nfalls,", "labels"),
        ("counterexamples/fails.json", '"seed": 5', '"seed": 6', "not what the records say"),
    ],
)
def test_spoilt_files_do_not(script: ModuleType, folder: Path, name: str, old: str, new: str, words: str) -> None:
    path = folder / name
    text = path.read_bytes().decode("utf-8")
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode("utf-8"))
    found = problems(script, folder, document())
    assert any(words in problem for problem in found), found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": "INCONCLUSIVE"}, ["c: INCONCLUSIVE"]),
        ({"verdict": "PROBABLY"}, ["c: got verdict 'PROBABLY'"]),
        ({"label": "theorem_1", "verdict": "FAILS"}, ["theorem_1: got FAILS, expected HOLDS"]),
        ({"cases": {}}, ["no case"]),
        ({"controls": []}, ["0 spoilt versions"]),
        ({"slipped": "HOLDS"}, ["slipped through: got HOLDS, expected FAILS"]),
        ({"expected": "HOLDS"}, ["1 spoilt versions", "slipped through"]),
        ({"caught": False}, ["slipped through"]),
        ({}, []),
    ],
)
def test_what_is_wrong_with_one_claim(script: ModuleType, changes: dict[str, Any], words: list[str]) -> None:
    controls = [{"name": name, "verdict": "FAILS", "expected": "FAILS", "caught": True} for name in ("one", "two")]
    controls[1]["verdict"] = changes.pop("slipped", "FAILS")
    controls[1] |= {name: changes.pop(name) for name in ("expected", "caught") if name in changes}
    claim = {"label": "c", "verdict": "HOLDS", "cases": {"HOLDS": 1}, "controls": controls} | changes
    found = script.claim_problems(claim)
    assert len(found) == len(words)
    assert all(word in problem for word, problem in zip(words, found, strict=True))


def test_what_is_wrong_with_the_records_as_a_whole(script: ModuleType) -> None:
    """Every claim that has a known verdict must be there, once, and be judged by six standard errors."""
    controls = [{"name": name, "verdict": "FAILS", "expected": "FAILS", "caught": True} for name in ("one", "two")]
    claims = [
        {"label": label, "verdict": verdict, "cases": {verdict: 1}, "controls": controls}
        for label, verdict in script.EXPECTED.items()
    ]
    whole = {"format": 1, "standard_errors": 6.0, "environment": {"jax": "1"}, "claims": claims}
    assert len(claims) == 109
    assert script.record_problems(whole) == []
    assert script.record_problems(whole | {"format": 2}) == ["format: got 2, expected 1"]
    assert script.record_problems(whole | {"standard_errors": 5.0}) == ["standard_errors: got 5.0, expected 6.0"]
    assert script.record_problems(whole | {"claims": claims[1:]}) == [f"{claims[0]['label']}: missing"]
    assert script.record_problems(whole | {"claims": [*claims, claims[3]]}) == [f"{claims[3]['label']}: listed twice"]
    assert "environment" in script.record_problems(whole | {"environment": {}})[0]
    for verdict in ("ERROR", "NONFINITE", "INCONCLUSIVE"):
        controlled = [claims[0] | {"verdict": verdict}, *claims[1:]]
        assert f"{claims[0]['label']}: {verdict}" in script.record_problems(whole | {"claims": controlled})


def test_a_counterexample_that_is_missing_or_does_not_count_is_seen(script: ModuleType, folder: Path) -> None:
    records = document()
    records["claims"][1]["counterexamples"][0]["exact_confirmed"] = False
    assert any("does not break" in problem for problem in problems(script, folder, records))
    (folder / "counterexamples" / "fails.json").rename(folder / "counterexamples" / "other.json")
    assert len(script.counterexample_problems(folder, document())) == 2
