"""Known verdicts as a second net: flips are reported, ours make the run unsound, errors do not end it."""

from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from icl_theory import verify
from icl_theory.claims.engine import examine as outcome
from icl_theory.claims.engine import expected_verdicts
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.claim import EXACT_TOLERANCE, Claim, Control, Verdict
from icl_theory.claims.engine.examine import Outcome, examine
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.engine.trained_ensembles import Cancelled, NotReady
from icl_theory.claims.order import LABELS
from icl_theory.claims.record import record
from icl_theory.claims.registry import load
from icl_theory.report.terminal import verify as verify_output
from icl_theory.report.terminal.tables import evidence_text
from icl_theory.runs import verify as run

OURS, PRINTED = "truncation_norm_value", "footnote_6"
"""Claims on random weights alone, expected to hold: one that is ours and one that is printed."""


def on_random(label: str, **changes: Any) -> Claim:
    return replace(load(label), cases=lambda factory: factory.random(1), controls=(), proof=None, **changes)


@pytest.fixture(scope="module")
def factory():
    with closing(CaseFactory(PROFILES["quick"], 0)) as made:
        yield made


def test_known_verdicts():
    """Every claim of ours has a known verdict and no other has."""
    known = expected_verdicts.expected_verdicts()
    assert tuple(known) == LABELS
    assert set(known.values()) <= {"HOLDS", "FAILS", "DEPENDS", "INCONCLUSIVE", "VACUOUS"}
    assert expected_verdicts.expected_verdict("of_theirs") is None


@pytest.mark.parametrize(
    ("label", "origin", "verdict", "flip"),
    [
        ("theorem_1", "repaired", "HOLDS", None),
        ("theorem_1", "repaired", "FAILS", "regression"),
        ("theorem_1", "repaired", "VACUOUS", "regression"),
        ("theorem_1", "repaired", "OUTSIDE", "regression"),
        ("universality", "new", "FAILS", "regression"),
        ("truncation_norm_key", "new", "HOLDS", None),
        ("truncation_norm_key", "new", "FAILS", "regression"),
        ("theorem_1_printed", "paper", "FAILS", None),
        ("theorem_1_printed", "paper", "HOLDS", "changed"),
        ("lemma_1", "paper", "FAILS", "changed"),
        ("of_theirs", "new", "FAILS", None),
    ],
)
def test_what_a_flip_means(label, origin, verdict, flip):
    assert expected_verdicts.flip(label, origin, verdict) == flip


def test_origins():
    """Origins of the two claims used here."""
    assert (load(OURS).origin, load(PRINTED).origin) == ("repaired", "paper")
    assert expected_verdicts.expected_verdict(OURS) == expected_verdicts.expected_verdict(PRINTED) == "HOLDS"


@pytest.mark.parametrize(("label", "flip", "sound"), [(OURS, "regression", False), (PRINTED, "changed", True)])
def test_regression_if_ours(factory, label, flip, sound):
    """A statement that fails now is a regression if it is ours."""
    assert examine(on_random(label), factory).flip is None
    assert examine(on_random(label), factory).sound
    found = examine(on_random(label, predict=lambda case: -1.0, relation="at most"), factory)
    assert (found.verdict, found.flip, found.sound) == ("FAILS", flip, sound)
    assert (record(found)["expected"], record(found)["flip"]) == ("HOLDS", flip)


def remarks(*outcomes: Outcome, capsys: pytest.CaptureFixture[str]) -> list[str]:
    verify_output.log_notes({"claims": [record(item) for item in outcomes]}, None)
    return capsys.readouterr().err.splitlines()


def test_flips_are_reported(factory, capsys):
    """Flips and every reason are reported."""
    low: dict[str, Any] = {"predict": lambda case: -1.0, "relation": "at most"}
    blind = replace(
        on_random(PRINTED),
        controls=(Control("nothing changed", tolerance=EXACT_TOLERANCE),),
    )
    blind = replace(blind, proof=lambda: False)
    broken = on_random(PRINTED, measure=lambda case: 1 / 0)
    found = [examine(c, factory) for c in (on_random(OURS, **low), on_random(PRINTED, **low), blind, broken)]
    ours, printed, slipped, *error = remarks(*found, capsys=capsys)
    assert ours == f"icl-theory: not sound: {OURS}: a regression: FAILS, known to be HOLDS"
    assert printed == f"icl-theory: changed: {PRINTED}: known HOLDS, now FAILS"
    assert slipped == f"icl-theory: not sound: {PRINTED}: controls not caught: nothing changed; derivation false"
    assert error[0] == f"icl-theory: changed: {PRINTED}: known HOLDS, now ERROR"
    assert error[1].startswith(
        f"icl-theory: not sound: {PRINTED}: ERROR: ZeroDivisionError (division by zero) at test_"
    )


def test_error_verdict(factory):
    """An error is a verdict and the other cases are examined."""

    def measure(case):
        if case.name.endswith("seed 1"):
            raise KeyError("a name")
        return 1.0

    claim = on_random(PRINTED, measure=measure, predict=lambda case: 1.0, relation="equal")
    found = examine(claim, factory)
    assert [item.verdict for item in found.evidence] == ["HOLDS", "ERROR", "HOLDS", "HOLDS"]
    assert (found.verdict, found.sound) == ("ERROR", False)
    assert "KeyError ('a name') at test_expected_verdicts.py:" in found.evidence[1].note
    assert evidence_text(record(found)).startswith("error in 1/4 cases; random, L=1, seed 1: KeyError")
    # `exists` needs one case alone, but a check that broke down says nothing either way.
    exists = replace(claim, relation="exists", measure=lambda case: measure(case) > 0)
    assert examine(exists, factory).verdict == "ERROR"
    assert examine(replace(claim, over_seeds=True, relation="at most"), factory).verdict == "ERROR"


def test_errors_anywhere(factory, capsys):
    """An error in making cases in a control or in a derivation."""

    def broken(*_):
        raise RuntimeError("no such thing")

    found = examine(replace(on_random(PRINTED), cases=broken), factory)
    assert (found.verdict, len(found.evidence), found.evidence[0].case) == ("ERROR", 1, outcome.NO_CASE)
    control = Control("breaks", measure=broken)
    found = examine(replace(on_random(PRINTED), controls=(control,)), factory)
    assert (found.verdict, found.controls[0].verdict, found.sound) == ("HOLDS", "ERROR", False)
    assert "controls not caught: breaks: RuntimeError (no such thing) at test_" in remarks(found, capsys=capsys)[0]
    found = examine(replace(on_random(PRINTED), proof=broken), factory)
    assert (found.verdict, found.proved, found.sound) == ("HOLDS", False, False)
    assert "derivation ended by RuntimeError (no such thing) at test_" in remarks(found, capsys=capsys)[0]


@pytest.mark.parametrize("error", [NotReady, Cancelled, KeyboardInterrupt])
def test_no_error_of_a_claim(factory, error):
    """Waiting and breaking off are no errors of a claim."""

    def stop(*_):
        raise error

    for claim in (replace(on_random(PRINTED), cases=stop), on_random(PRINTED, measure=stop)):
        with pytest.raises(error):
            examine(claim, factory)


def test_run_goes_on(monkeypatch):
    """A run goes on after an error and is not sound."""
    pair = [on_random(PRINTED, measure=lambda case: 1 / 0), on_random(OURS)]
    monkeypatch.setattr(run, "chosen", lambda claims=None: [(claim, None) for claim in pair])
    report = verify([PRINTED, OURS])
    assert [claim["verdict"] for claim in report.records["claims"]] == ["ERROR", "HOLDS"]
    assert not report.sound
    del pair[0]
    assert verify([OURS]).sound


def test_every_verdict_shown():
    """Every verdict can be drawn, reported and counted."""
    from icl_theory.records import claims_csv
    from icl_theory.report.page import plots, words
    from icl_theory.report.terminal import tables

    for names in (plots._MARKS, words.VERDICT_SIGNS, claims_csv.VERDICTS, tables.COLOURS):
        assert set(names) == set(Verdict)
