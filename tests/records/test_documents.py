"""Records survive the file, half-written files never bear a final name, and tables say what the records say."""

import io
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import error_message
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from sweep_records import sweep

from icl_theory.claims.engine.claim import Verdict
from icl_theory.claims.order import LABELS
from icl_theory.claims.registry import load
from icl_theory.core.estimate import Estimate
from icl_theory.records import documents, environment, files
from icl_theory.records.compare import compare
from icl_theory.report.terminal import explain, plain_text, sweep_tables, tables
from icl_theory.report.terminal.comparison import comparison_lines


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_strict_json(x: float) -> None:
    """Every float comes back from strict json."""
    back = documents.from_plain(json.loads(json.dumps(documents.to_plain(x), allow_nan=False)))
    assert back == x or (math.isnan(back) and math.isnan(x))


def test_plain_values() -> None:
    """Arrays dataclasses and enumerations become plain."""
    document = {
        "verdict": Verdict.FAILS,
        "estimate": Estimate(math.inf, note="why"),
        "array": np.array([[1.0, -math.inf], [math.nan, 2.0]]),
        "flag": np.bool_(True),
        "count": np.int64(3),
        3: (None, True, "x"),
    }
    plain = documents.to_plain(document)
    assert plain["verdict"] == "FAILS"
    assert type(plain["verdict"]) is str
    assert plain["estimate"]["value"] == "inf"
    assert plain["estimate"]["note"] == "why"
    assert plain["array"] == [[1.0, "-inf"], ["nan", 2.0]]
    assert plain["flag"] is True
    assert type(plain["count"]) is int
    assert plain["3"] == [None, True, "x"]
    assert json.loads(documents.to_json(document)) == plain


def test_unrecordable() -> None:
    """What a record cannot hold is an error not a repr."""
    with pytest.raises(TypeError, match="object"):
        documents.to_plain({"x": object()})


@pytest.mark.parametrize("value", ["infinity", None, True, "1.0", [1.0]])
def test_from_plain(value: Any) -> None:
    """Number reads only what plain writes."""
    assert "number" in error_message(documents.from_plain, value)


def test_writing_is_atomic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "records.json"
    assert files.write_json(path, {"x": 1}) == path
    assert files.read_json(path) == {"x": 1}
    assert [p.name for p in path.parent.iterdir()] == ["records.json"]

    def crash(*_: object) -> None:
        raise OSError("disk on fire")

    # The control: a crash between writing and renaming leaves the old file and nothing else.
    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="fire"):
        files.write_json(path, {"x": 2})
    monkeypatch.undo()
    assert files.read_json(path) == {"x": 1}
    assert [p.name for p in path.parent.iterdir()] == ["records.json"]
    with pytest.raises(TypeError):
        files.write_json(path, {"x": object()})
    assert files.read_json(path) == {"x": 1}


def test_file_mode(tmp_path: Path) -> None:
    """A record is as readable as any other file."""
    (tmp_path / "other").touch()
    path = files.write_json(tmp_path / "records.json", {})
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_bad_records(tmp_path: Path) -> None:
    """Reading rejects what is no record."""
    assert "records" in error_message(files.read_json, tmp_path / "nothing.json")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    assert "JSON" in error_message(files.read_json, tmp_path / "broken.json")


def test_directory_in_use(tmp_path: Path) -> None:
    """A directory in use is an error unless overwriting is requested."""
    fresh = tmp_path / "a" / "b"
    assert files.prepare_directory(fresh) == fresh
    assert files.prepare_directory(str(fresh)) == fresh  # still empty
    (fresh / "mine.txt").write_text("keep", encoding="utf-8")
    assert "not empty" in error_message(files.prepare_directory, fresh)
    assert files.prepare_directory(fresh, overwrite=True) == fresh
    assert (fresh / "mine.txt").read_text(encoding="utf-8") == "keep"
    assert "file" in error_message(files.prepare_directory, fresh / "mine.txt", overwrite=True)
    assert "written" in error_message(files.prepare_directory, fresh / "mine.txt" / "below")


def test_environment() -> None:
    """The environment names no person and no place."""
    here = environment.environment()
    assert {"python", "jax", "numpy", "device", "processors", "platform"} <= set(here)
    text = json.dumps(here)
    assert os.path.expanduser("~") not in text
    assert os.uname().nodename not in text
    assert "/" not in text


def evidence(verdict: str, measured: Any = 1.0, predicted: Any = 2.0, slack: Any = 0.5, **more: Any) -> dict[str, Any]:
    return {"case": "c", "seed": 0, "verdict": verdict, "measured": measured, "predicted": predicted} | {
        "slack": slack,
        "stderr": 0.0,
        "informative": None,
        "note": "",
        **more,
    }


def claim(verdict: str, relation: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    record = {"label": "gradient_descent_construction", "statement": "ΔW ≤ [red]Σ[/red]"}
    record |= {"origin": "repaired", "section": "related"}
    record |= {"relation": relation, "verdict": verdict, "evidence": list(items), "proved": None, "informative": None}
    return record | {"controls": [{"name": "wrong", "caught": True}, {"name": "sound", "caught": False}], **more}


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (claim("HOLDS", "equal", *[evidence("HOLDS", slack=-3.2e-16)] * 24), "24/24 cases, worst 3e-16"),
        (claim("HOLDS", "equal", evidence("HOLDS", slack=-2.13, stderr=0.1)), "1/1 case, worst 2.1 s.e."),
        (claim("HOLDS", "at most", evidence("HOLDS", slack=0.12)), "1/1 case, margin 12 %"),
        (claim("HOLDS", "at most", evidence("HOLDS", slack=-1e-16)), "1/1 case, tight to 1e-16"),
        (
            claim("HOLDS", "at most", evidence("HOLDS", slack=115.0, stderr=0.1), evidence("VACUOUS")),
            "1/2 cases, margin 115 s.e.; 1 vacuous",
        ),
        (
            claim("FAILS", "at most", evidence("FAILS", 0.182, 0.108, -90.0, stderr=2e-4), evidence("HOLDS")),
            "false in 1/2 cases, 0.182 > 0.108 (±0.0002)",
        ),
        (
            claim("HOLDS", "equal", evidence("HOLDS", slack=-1e-16), evidence("HOLDS", slack=-4e-13)),
            "2/2 cases, worst 4e-13",
        ),
        (
            claim("HOLDS", "at least", *(evidence("HOLDS", slack=s, stderr=0.1) for s in (9.0, 7.0, 8.0))),
            "3/3 cases, margin 7 s.e.",
        ),
        (claim("HOLDS", "never", *[evidence("HOLDS", 0.0, "nan", 0.0)] * 3), "seen in 0/3 cases"),
        (claim("HOLDS", "exists", evidence("HOLDS"), evidence("FAILS", 0.0)), "seen in 1/2 cases"),
        (
            claim("VACUOUS", "at most", evidence("VACUOUS", "nan", "nan", "nan", note="never met")),
            "1/1 case; never met",
        ),
        (
            claim("VACUOUS", "at most", evidence("VACUOUS", 1.0, "inf", "inf")),
            "1/1 case; bound +inf beyond the trivial one",
        ),
        (claim("OUTSIDE", "equal", evidence("OUTSIDE", "nan", "nan", "nan")), "none of 1 cases meets the assumptions"),
    ],
)
def test_evidence_in_a_line(record: dict[str, Any], text: str) -> None:
    assert tables.evidence_text(record) == text


def test_row() -> None:
    """Gaps that say where they belong: 100 x layer + 10 x module + rank."""
    documents = sweep(seeds=2, modules=("value", "key"), layers=2)
    for record in documents:
        record["gap"]["value"] = 100.0 * record["layer"] + 10.0 * (record["module"] == "key") + record["rank"]
    console = Console(file=io.StringIO(), width=200)
    console.print(sweep_tables.sweep_table(documents))
    rows = [line.split() for line in console.file.getvalue().splitlines() if "±" in line]  # pyright: ignore
    found = {(module, int(layer), int(rank)): float(gap.split("±")[0]) for module, layer, rank, _, gap, *_ in rows}
    assert len(found) == len(rows) == 2 * 2 * 6
    for (module, layer, rank), gap in found.items():
        assert gap == 100.0 * layer + 10.0 * (module == "key") + rank


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("verdict", ["HOLDS", "INCONCLUSIVE"])
def test_table_fits(width: int, verdict: str) -> None:
    """The table fits and breaks no verdict."""
    document = {"claims": [claim(verdict, "equal", evidence(verdict))], "seconds": 1.0, "seed": 0, "profile": "quick"}
    document["environment"] = {"device": "cpu"}
    console = Console(width=width, record=True, file=io.StringIO(), markup=False)
    console.print(tables.claims_table(document, width))
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= width
    for word in ("gradient_descent_construction", verdict, "repaired", "1/2", "[red]Σ[/red]", "mative"):
        assert word in text, text
    assert tables.summary(document).startswith(f"1 claim: 1 {verdict}; 1/2 controls caught")


def test_ascii_formulas() -> None:
    """Formulas can be spelled in ascii."""
    assert plain_text.ascii_text("||ΔW||² ≤ ½ Σ_t ε") == "||Delta W||^2 <= 1/2 Sum _t eps"
    assert plain_text.ascii_records({"a": ["≥", 1.0, None]}) == {"a": [">=", 1.0, None]}


@pytest.mark.parametrize("label", LABELS)
def test_explanations(label: str) -> None:
    """Every claim is explained and can be spelled."""
    found = load(label)
    text = explain.explain_text(found)
    for part in ("statement", "assumptions", "source", "what is checked, and why it may fail", "controls"):
        assert f"  {part}" in text
    assert "?" not in plain_text.ascii_text(text.replace("?", "")), plain_text.ascii_text(text)
    assert explain.explain_record(found)["label"] == label
    json.dumps(explain.explain_record(found))
    assert "$" not in text


def test_no_marks() -> None:
    """Neither in the table, nor in the evidence, nor where two runs differ in a control or a claim is not sound."""
    noted = evidence("VACUOUS", "nan", "nan", "nan", note="never $x < 0$, \\$5")
    record = claim("VACUOUS", "at most", noted, statement="$ΔW ≤ 1$ for \\$5") | {"sound": False, "flip": None}
    record["controls"] = [{"name": "$W_K$ cut", "caught": False, "note": ""}]
    document = {"claims": [record], "sweep": []}
    console = Console(width=120, record=True, file=io.StringIO(), markup=False)
    console.print(tables.claims_table(document, 120))
    text = console.export_text()
    assert "ΔW ≤ 1 for $5" in text
    assert "never x < 0, $5" in text
    earlier = {"claims": [record | {"controls": [{"name": "W_K cut", "caught": True}]}]}
    changes = compare(earlier, document)
    assert [change["name"] for change in changes["controls"]] == ["$W_K$ cut"], "marks make no other control"
    assert [line for line in comparison_lines(changes) if "control" in line] == [
        "gradient_descent_construction: control 'W_K cut': caught → not caught"
    ]
