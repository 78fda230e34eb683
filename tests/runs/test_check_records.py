"""The check that CI makes of a run's files finds nothing in sound ones, and something in every damaged one."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ledger import document

from icl_theory.claims.engine.expected_verdicts import expected_verdicts
from icl_theory.records.claims_csv import table
from icl_theory.records.files import write_json
from icl_theory.report.page.document import page

FEW = ("lemma_1", "theorem_1_printed", "theorem_2_printed")
"""Enough claims where files are compared: a page of all of them takes a second to make."""
SCRIPT = Path(__file__).parents[2] / ".ci" / "check_records.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_records", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def known(labels: tuple[str, ...] | None = None) -> dict[str, str]:
    return {label: verdict for label, verdict in expected_verdicts().items() if labels is None or label in labels}


def sound(labels: tuple[str, ...] | None = None) -> dict[str, Any]:
    """A run in which these claims, or all of ours, came out as known: one claim of the ledger under their labels."""
    made = document()
    example = made["claims"][0] | {"sound": True}
    for control in example["controls"]:
        control |= {"verdict": "FAILS", "expected": "FAILS", "caught": True}
    counterexample = made["claims"][1]["counterexamples"][0] | {"file": "counterexamples/lemma_1.json"}
    claims = [example | {"label": label, "verdict": verdict} for label, verdict in known(labels).items()]
    [first] = [number for number, claim in enumerate(claims) if claim["label"] == "lemma_1"]
    claims[first] = claims[first] | {"counterexamples": [counterexample]}
    return json.loads(json.dumps(made | {"claims": claims}))


@pytest.fixture
def folder(tmp_path: Path, script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    records = sound(FEW)
    monkeypatch.setattr(script, "expected_verdicts", lambda: known(FEW))
    (tmp_path / "report.html").write_text(page(records), encoding="utf-8")
    (tmp_path / "records.csv").write_text(table(records), encoding="utf-8")
    for claim in records["claims"]:
        for found in claim["counterexamples"]:
            write_json(tmp_path / found["file"], found["document"])
    for name in script.FIGURES:
        (tmp_path / name).write_bytes(b"a figure")
    write_json(tmp_path / "records.json", records)
    return tmp_path


def test_sound_files_pass(script: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.problems(folder) == []
    assert script.main([str(folder)]) == 0
    assert script.main([]) == 2
    assert capsys.readouterr().out.endswith("agree, all verdicts as known\n")


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("report.html", '<article class="claim v-holds" id="lemma_1" data-verdict="HOLDS"', "<article", "report.html"),
        ("report.html", "<main>", '<main><img src="x.png">', "report.html: not what"),
        ("records.csv", ",HOLDS,", ",FAILS,", "records.csv: not what"),
        ("records.csv", "\n", "\r\n", "records.csv: not what"),
        ("counterexamples/lemma_1.json", '"seed": 5', '"seed": 6', "counterexamples/lemma_1.json: not what"),
        ("bound_versus_rank.png", "a figure", "", "bound_versus_rank.png: empty"),
        ("records.json", '"seed": 0,', '"seed": NaN,', "the number NaN"),
        ("records.json", '"profile": "quick",', "", "records.json: $: 'profile' is a required property"),
        ("records.json", '"format": 2', '"format": 1', "records.json: $.format: 2 was expected"),
    ],
)
def test_damaged_files_do_not(
    script: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str], name: str, old: str, new: str, words: str
) -> None:
    text = (folder / name).read_bytes().decode("utf-8")
    assert old in text
    (folder / name).write_bytes(text.replace(old, new, 1).encode("utf-8"))
    assert script.main([str(folder)]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("name", ["report.html", "records.csv", "records.json", "bound_versus_rank.pdf"])
def test_missing_file(script: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """A file that is missing is named."""
    (folder / name).unlink()
    assert script.main([str(folder)]) == 1
    assert name in capsys.readouterr().err


def swap(claims: list[dict[str, Any]]) -> None:
    """A printed statement comes out otherwise: news to a user, an error in CI."""
    [claim] = [claim for claim in claims if claim["label"] == "lemma_1"]
    claim["verdict"] = "FAILS"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (swap, "lemma_1: got FAILS, expected HOLDS"),
        (lambda claims: claims.pop(0), "got no such claim, expected"),
        (lambda claims: claims.append(claims[3]), "expected each once"),
        (lambda claims: claims[0].update(sound=False), "not sound"),
        (lambda claims: claims[0].update(evidence=[]), "no case or no control"),
        (lambda claims: claims[0].update(controls=[]), "no case or no control"),
        # `caught` is what the run says of itself; it must also follow from the two verdicts.
        (lambda claims: claims[0]["controls"][0].update(verdict="HOLDS"), "not sound"),
    ],
)
def test_wrong_claims(script: ModuleType, damage: Callable[[list[dict[str, Any]]], object], words: str) -> None:
    """What is wrong with the claims."""
    records = sound()
    assert script.verdict_problems(records) == []
    damage(records["claims"])
    [found] = script.verdict_problems(records)
    assert words in found


def test_counterexamples(script: ModuleType, folder: Path) -> None:
    """A counterexample that is missing or does not count is seen."""
    records = sound(FEW)
    [found] = [found for claim in records["claims"] for found in claim["counterexamples"]]
    found["exact_confirmed"] = False
    assert any("does not break" in problem for problem in script.file_problems(folder, records))
    (folder / "counterexamples" / "lemma_1.json").rename(folder / "counterexamples" / "other.json")
    assert [line.split(":")[0] for line in script.file_problems(folder, sound(FEW))] == [
        "counterexamples/lemma_1.json",
        "counterexamples/other.json",
    ]
