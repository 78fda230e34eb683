"""Claims that are findings on a registered grid: verdict and evidence from a record, controls, refusals, records."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from schema import problems
from small_grid import made_up_table

from icl_theory.claims import CaseFactory, CaseSettings, Claim, Control, Verdict, check, examine
from icl_theory.claims.engine import grid_evidence
from icl_theory.claims.engine.finding_claim import finding_claim, with_random_signs
from icl_theory.claims.record import record
from icl_theory.grids import findings, judge
from icl_theory.grids.judgement import cell_outcome, verdict_of
from icl_theory.report.terminal.explain import explain_record, explain_text
from icl_theory.report.terminal.tables import evidence_text
from icl_theory.tasks.linear_regression import LinearRegression

TABLE = made_up_table(4)
NAME = "more_shots_help"


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The record that the package comes with is one of made-up numbers."""
    monkeypatch.setattr(grid_evidence, "shipped", lambda name: TABLE)
    grid_evidence._values.cache_clear()
    yield
    grid_evidence._values.cache_clear()


@pytest.fixture
def claim() -> Claim:
    return replace(finding_claim(NAME, "Made-up numbers.", small=20.0), label="lemma_1")


def test_evidence_is_that_of_the_cells(claim: Claim) -> None:
    """All cells first, then every level of every factor by hand, then the cell nearest to the paper."""
    found, judged = examine(claim, CaseFactory("quick", seed=0)), judge(findings()[NAME], TABLE)
    assert found.verdict == found.evidence[0].verdict == Verdict(judged.verdict)
    assert found.evidence[0].case == f"all {len(judged.cells)} cells"
    by_case = {item.case: item for item in found.evidence}
    assert len(by_case) == 2 + sum(len(effect.scores) for effect in judged.factors)
    for level in (0, 1):
        attention = ("linear", "softmax")[level]
        cells = [cell for cell in judged.cells if cell.cell["attention"] == attention]
        score = sum(cell.seeds_for - cell.seeds_against for cell in cells) / (5 * len(cells))
        item = by_case[f"attention = {attention}"]
        assert item.measured == pytest.approx(score)
        counts = [sum(cell.outcome == outcome for cell in cells) for outcome in ("for", "against", "undecided")]
        assert item.note == "{} cells for, {} against, {} undecided".format(*counts)
    paper = by_case["the cell nearest to the paper"]
    assert judged.paper_cell is not None
    assert (paper.measured, paper.stderr) == (judged.paper_cell.mean, judged.paper_cell.stderr)
    assert paper.verdict == {"for": "HOLDS", "against": "FAILS"}.get(judged.paper_cell.outcome, "INCONCLUSIVE")


def test_controls_and_soundness(claim: Claim) -> None:
    """Values lowered fail, raised hold; an undecided grid is a result of a sound run."""
    found = examine(claim, CaseFactory("quick", seed=0))
    assert [control.verdict for control in found.controls] == ["FAILS", "FAILS", "HOLDS", "INCONCLUSIVE"]
    assert all(control.caught for control in found.controls)
    open_ = replace(claim, read=lambda values: 0 * values, controls=claim.controls[:1])
    undecided = examine(open_, CaseFactory("quick", seed=0))
    assert undecided.verdict == Verdict.INCONCLUSIVE
    assert replace(undecided, usual=False).sound


def test_depends() -> None:
    """Cells of one task for it, of another against it: it depends, and on the task."""

    def by_task(values: np.ndarray) -> np.ndarray:
        cells = list(findings()[NAME].cells(TABLE.grid))
        return np.array([np.full(values.shape[1], 1.0 if cell["task"] == "regression" else -1.0) for cell in cells])

    claim = replace(finding_claim(NAME, "Made-up numbers.", small=20.0), read=by_task, controls=())
    found = examine(claim, CaseFactory("quick", seed=0))
    assert found.verdict == Verdict.DEPENDS
    assert "most of the scatter is that of task (100%)" in found.evidence[0].note
    verdicts = {item.case: item.verdict for item in found.evidence}
    assert (verdicts["task = regression"], verdicts["task = classification"]) == (Verdict.HOLDS, Verdict.FAILS)


def test_record_and_words(claim: Claim) -> None:
    """The record has the finding, fits the schema and is told in a line."""
    found: dict[str, Any] = json.loads(json.dumps(record(examine(claim, CaseFactory("quick", seed=0))), default=str))
    assert found["grid"]["name"] == NAME
    assert sum(found["grid"]["counts"].values()) == len(list(findings()[NAME].cells(TABLE.grid)))
    assert found["measures"] == findings()[NAME].value
    assert evidence_text(found).startswith(f"{found['grid']['counts']['for']} cells for, ")
    found["controls"] = [control | {"verdict": control["verdict"]} for control in found["controls"]]
    assert problems(found | {"seconds": 0.0}, "claim") == []
    assert "a grid that was registered beforehand" in " ".join(explain_text(claim).split())
    assert explain_record(claim)["finding"] == NAME


def test_other_settings(claim: Claim) -> None:
    """In settings of the user's a finding is outside: it is about the models of its grid."""
    settings = CaseSettings(task=LinearRegression(2))
    found = examine(claim, CaseFactory("quick", seed=0, settings=settings))
    assert found.verdict == Verdict.OUTSIDE
    assert record(found)["grid"] is None


def test_a_record_that_is_lost(claim: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its record a finding ends in ERROR with the reason; the run goes on."""

    def lost(name: str) -> None:
        raise ValueError(f"no record of {name}")

    monkeypatch.setattr(grid_evidence, "shipped", lost)
    found = examine(claim, CaseFactory("quick", seed=0))
    assert found.verdict == Verdict.ERROR
    assert "no record of edits" in found.evidence[0].note


def test_measure_is_not_called(claim: Claim) -> None:
    """Values are read off the record: nothing is measured on a case."""
    case = CaseFactory("quick", seed=0).random(1)[0]
    with pytest.raises(ValueError, match=r"finding on a grid: got the case .*, expected the record of its grid"):
        check(claim, case)


@pytest.mark.parametrize("changes", [{"relation": "at most"}, {"finding": ""}])
def test_trends_need_a_finding(claim: Claim, changes: dict[str, Any]) -> None:
    """A trend names a finding, and no other relation does."""
    with pytest.raises(ValueError, match="relation of claim 'lemma_1': got"):
        replace(claim, controls=(), **changes)


def broken(**changes: Any) -> Claim:
    options: dict[str, Any] = {"label": "theorem_1", "source": "s", "statement": "s", "origin": "new"}
    options |= {"relation": "at most", "refutes": True, "cases": lambda factory: factory.random(1)[:2]}
    options |= {"measure": lambda case: 2.0 if "0" in case.name else 0.5, "predict": lambda case: 1.0}
    return Claim(**(options | changes))


def test_claims_that_refute() -> None:
    """One case that breaks the relation is enough; it is an example, and controls are turned round."""
    claim = broken(controls=(Control("never", measure=lambda case: 0.5, expected=Verdict.HOLDS),))
    found = examine(claim, CaseFactory("quick", seed=0))
    assert found.verdict == Verdict.HOLDS
    assert sorted(item.verdict for item in found.evidence) == ["FAILS", "HOLDS"]
    assert [(c.verdict, c.expected, c.caught) for c in found.controls] == [("FAILS", "FAILS", True)]
    (example,) = found.counterexamples
    assert example["measured"] == 2.0
    nothing = examine(broken(measure=lambda case: 0.5), CaseFactory("quick", seed=0))
    assert (nothing.verdict, nothing.counterexamples) == (Verdict.FAILS, [])
    assert "in some case the following is false" in " ".join(explain_text(claim).split())


@pytest.mark.parametrize("refutes", [True, False])
def test_the_clearest_case_is_kept(refutes: bool) -> None:
    """Of several cases that break the relation the one that breaks it most."""
    values = iter((3.0, 7.0, 2.0))
    claim = broken(
        refutes=refutes, cases=lambda factory: factory.random(1)[:3], measure=lambda case: next(values), controls=()
    )
    (kept,) = examine(claim, CaseFactory("quick", seed=0)).counterexamples
    assert kept["measured"] == 7.0


def test_reversed_verdicts() -> None:
    """HOLDS and FAILS are exchanged, and nothing else is."""
    turned = {verdict: verdict.reversed for verdict in Verdict}
    assert (turned.pop(Verdict.HOLDS), turned.pop(Verdict.FAILS)) == (Verdict.FAILS, Verdict.HOLDS)
    assert all(verdict is other for verdict, other in turned.items())


@pytest.mark.parametrize("changes", [{"relation": "exists"}, {"refutes": 1}, {"over_seeds": True}])
def test_what_cannot_refute(changes: dict[str, Any]) -> None:
    """Events and statements over seeds have no single case that breaks them."""
    with pytest.raises(ValueError, match="refutes of claim 'theorem_1'"):
        broken(**changes)


def test_random_signs() -> None:
    """Sizes stay, about half of the signs turn, and not the same ones in every seed of a cell."""
    values = np.arange(1.0, 2001.0).reshape(100, 20)
    found = with_random_signs(values)
    assert (np.abs(found) == values).all()
    assert abs((found > 0).mean() - 0.5) < 6 * 0.5 / np.sqrt(2000)
    assert len({tuple(row) for row in np.sign(found)}) == 100
    assert (with_random_signs(values, 1) != found).any()


def test_false_alarms_of_the_rules() -> None:
    """200 times signs at random on the shape of a large and of a small grid: how often they decide anything."""
    rng, rules = np.random.default_rng(3), TABLE.grid.judgement
    for cells, most in ((360, 0), (27, 40)):
        values, decided = rng.standard_normal((cells, 16)), 0
        for seed in range(200):
            rows = with_random_signs(values, seed)
            verdict = verdict_of([cell_outcome({}, row, rules).outcome for row in rows], rules)
            decided += verdict != "INCONCLUSIVE"
        assert decided <= most
