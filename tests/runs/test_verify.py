"""`verify` on claims that cost nothing: which verdicts and controls make a run unsound, and the z of every check."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import environment, here
from distributions import write_distribution
from ledger import CLAIMS, EQUAL, VERDICTS, cases, estimate
from sweep_records import sweep

from icl_theory.claims import plugins
from icl_theory.claims.engine.check import check
from icl_theory.claims.engine.claim import EXACT_TOLERANCE, Claim, Control, Verdict
from icl_theory.claims.outside import OutsideClaim
from icl_theory.claims.registry import load
from icl_theory.runs import verify

SOUND = replace(EQUAL, label="sound_one", proof=None)
BY_LABEL = {claim.label: claim for claim in CLAIMS}
Place = Callable[..., None]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    """Makes claims known as those of an installed package."""

    def put(*claims: Claim) -> None:
        monkeypatch.setattr(plugins, "claims", lambda: {c.label: OutsideClaim(c, "theirs 1.0") for c in claims})

    return put


def verified(*labels: str, options: tuple[str, ...] = ()) -> tuple[int, dict[str, Any], list[str]]:
    """Exit status, document and remarks of a run."""
    done = here("verify", "--claims", *labels, "--json", *options)
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    return done.returncode, document, [line for line in done.stderr.splitlines() if "not sound" in line]


@pytest.mark.parametrize(
    ("label", "status", "words"),
    [
        ("fails", 0, ()),  # a finding
        ("sampled", 0, ()),
        ("vacuous", 0, ()),
        ("outside", 0, ()),
        ("never_seen", 0, ()),
        ("undecided", 1, ("undecided: INCONCLUSIVE",)),
        ("not_finite", 1, ("not_finite", "NONFINITE", "derivation false")),
    ],
)
def test_the_verdict_decides(place: Place, label: str, status: int, words: tuple[str, ...]) -> None:
    place(replace(BY_LABEL[label], controls=()), SOUND)
    found, document, said = verified(label, "sound_one")
    assert found == status
    verdict = VERDICTS[[claim.label for claim in CLAIMS].index(label)]
    records = {claim["label"]: claim for claim in document["claims"]}
    assert records[label]["verdict"] == verdict
    assert records["sound_one"]["verdict"] == "HOLDS"
    assert (records[label]["sound"], records["sound_one"]["sound"]) == (status == 0, True)
    assert len(said) == status
    assert all(word in said[0] for word in words)


def test_uncaught_control(place: Place) -> None:
    """A control that is not caught decides."""
    blind = replace(
        SOUND,
        label="blind",
        controls=(
            *SOUND.controls,
            Control("nothing changed", tolerance=EXACT_TOLERANCE),
        ),
    )
    place(blind, SOUND)
    status, document, said = verified("blind", "sound_one")
    assert status == 1
    assert len(said) == 1
    assert said[0].endswith("not sound: blind: controls not caught: nothing changed")
    assert [c["caught"] for c in document["claims"][0]["controls"]] == [True, True, False]
    # A control that must hold is not caught when it fails.
    place(replace(blind, controls=(Control("sound", predict=lambda case: 0.0, expected=Verdict.HOLDS),)))
    assert verified("blind")[0] == 1


def test_false_derivation(place: Place) -> None:
    """A derivation that does not come out decides."""
    place(replace(SOUND, label="derived", proof=lambda: False), replace(SOUND, label="true", proof=lambda: True))
    assert verified("true")[0] == 0
    status, document, said = verified("derived")
    assert (status, document["claims"][0]["proved"]) == (1, False)
    assert "derivation false" in said[0]


def test_not_finite(place: Place) -> None:
    """A number that is not finite decides by itself."""
    place(replace(BY_LABEL["not_finite"], proof=None))
    status, document, said = verified("not_finite")
    assert (status, document["claims"][0]["proved"]) == (1, None)
    assert [line.split("not sound: ")[1] for line in said] == ["not_finite: NONFINITE"]


def test_earlier_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where all claims are run; and only then are the models of all of them trained ahead."""
    ahead: list[bool] = []
    monkeypatch.setattr(verify.CaseFactory, "train_ahead", lambda _: ahead.append(True))
    monkeypatch.setattr(verify, "all_labels", lambda: ("sound_one", "sampled"))
    monkeypatch.setattr(verify, "chosen", lambda _=None: [(SOUND, None)])
    earlier = verify.verify(["sound_one"]).records
    assert ahead == []
    old = [earlier["claims"][0], *({**earlier["claims"][0], "label": label} for label in ("sampled", "of_old"))]
    changes = verify.verify(baseline=earlier | {"claims": old}).changes
    assert ahead == [True]
    assert changes is not None
    assert [entry["label"] for entry in changes["gone"]] == ["of_old"]
    assert [entry["label"] for entry in changes["not_run"]] == ["sampled"]
    picked = verify.verify(["sound_one"], baseline=earlier | {"claims": old}).changes
    assert picked is not None
    assert ([entry["label"] for entry in picked["not_run"]], picked["gone"]) == (["sampled", "of_old"], [])


def test_summary(place: Place) -> None:
    """Of a run over all of the ledger, whose counts are known by hand."""
    place(*CLAIMS)
    done = here("verify", "--claims", *(claim.label for claim in CLAIMS))
    assert done.returncode == 1
    last = done.stdout.strip().splitlines()[-1]
    caught = sum(claim["caught"] for record in verified(*BY_LABEL)[1]["claims"] for claim in record["controls"])
    total = sum(len(claim.controls) for claim in CLAIMS)
    assert last.startswith("8 claims: 3 HOLDS, 1 FAILS, ")
    for count in ("1 VACUOUS", "1 OUTSIDE", "1 INCONCLUSIVE", "1 NONFINITE", f"{caught}/{total} controls caught"):
        assert count in last
    assert "profile quick, seed 0" in last


def first_entry(seed: int, profile: str = "quick") -> tuple[list[float], dict[str, Any]]:
    """What a run with these options measures of the random models, and its document."""
    document = verified("entry", options=("--seed", str(seed), "--profile", profile))[1]
    return [item["measured"] for item in document["claims"][0]["evidence"]], document


def test_seed_and_profile(place: Place) -> None:
    """4 seeds of random models in the quick profile, 16 in the full one, the first of which are the same."""
    made = {"measure": lambda case: float(case.model.value[0, 0, 0]), "predict": lambda case: 0.0}
    place(replace(SOUND, label="entry", controls=(), cases=lambda factory: factory.random(1), **made))
    found, document = first_entry(0)
    assert (document["seed"], document["profile"], len(set(found))) == (0, "quick", 4)
    assert first_entry(0)[0] == found
    other, document = first_entry(7)
    assert document["seed"] == 7
    assert not set(other) & set(found)
    many, document = first_entry(0, "full")
    assert (document["profile"], len(set(many)), many[:4]) == ("full", 16, found)


# The number of standard errors.


def at(distance: float) -> dict[str, Any]:
    """Measured 1 ± 0.1, predicted so many standard errors above it."""
    return {"measure": estimate(1.0, 0.1), "predict": lambda case: 1.0 + 0.1 * distance}


def measured_at(z: float) -> Claim:
    """One claim just within z, with controls just within and just beyond it."""
    inside, beyond = at(0.98 * z), at(1.02 * z)
    near = (
        Control("within", relation="equal", **inside, expected=Verdict.HOLDS),
        Control("beyond", relation="equal", **beyond),
        Control("bound within", relation="at most", **inside, expected=Verdict.INCONCLUSIVE),
        Control("bound beyond", relation="at most", **beyond, expected=Verdict.HOLDS),
        Control("broken within", relation="at least", **inside, expected=Verdict.INCONCLUSIVE),
        Control("broken beyond", relation="at least", **beyond),
    )
    return replace(SOUND, label="measured", relation="equal", controls=near, cases=lambda w: cases(w)[:1], **inside)


@pytest.mark.parametrize("z", [6.0, 2.5, 11.0])
def test_standard_errors(place: Place, monkeypatch: pytest.MonkeyPatch, z: float) -> None:
    """A check of a claim or of a control with another number would come out otherwise."""
    if z != 6.0:
        monkeypatch.setattr(verify, "STANDARD_ERRORS", z)
    place(measured_at(z), replace(measured_at(z), label="beyond", **at(1.02 * z)))
    status, document, _ = verified("measured", "beyond")
    assert document["standard_errors"] == z
    assert status == 0
    assert [claim["verdict"] for claim in document["claims"]] == ["HOLDS", "FAILS"]
    assert all(control["caught"] for claim in document["claims"] for control in claim["controls"])


def test_same_default() -> None:
    """A single check and a recheck take the same number by default."""
    assert inspect.signature(check).parameters["z"].default == verify.STANDARD_ERRORS == 6.0


# Claims that are passed.


def test_claims_as_objects() -> None:
    """A claim, a label, or a list of both; the newest object counts, whatever was passed before under its label."""
    report = verify.verify([SOUND, "lemma_3"], cache=False)
    assert [claim["label"] for claim in report.records["claims"]] == ["lemma_3", "sound_one"]
    assert [claim["package"] for claim in report.records["claims"]] == [None, "passed to verify"]
    assert [claim["section"] for claim in report.records["claims"]] == ["paper", "outside"]
    assert verify.verify(SOUND).records["claims"][0]["verdict"] == "HOLDS"
    assert verify.verify(replace(SOUND, predict=lambda case: 0.0)).records["claims"][0]["verdict"] == "FAILS"
    assert verify.verify("lemma_3").records["claims"][0]["label"] == "lemma_3"
    assert verify.verify(load("lemma_3")).records["claims"][0]["package"] is None  # ours, passed as it is


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ([], ("an empty list", "leave it out")),
        ([replace(SOUND, label="")], ("a claim without a label",)),
        ([replace(SOUND, controls=SOUND.controls[:1])], ("'sound_one' with 1 controls", "at least two")),
        ([replace(SOUND, label="lemma_1")], ("a second claim 'lemma_1'", "icl_theory does not use")),
        ([SOUND, replace(SOUND, source="another")], ("two claims 'sound_one'",)),
        ([3], ("a int", "a Claim")),
        (["lemma_1,lemma_2"], ("separate labels by blanks",)),
    ],
)
def test_claims_that_break_a_rule(claims: Any, words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="claims: got") as caught:
        verify.verify(claims)
    for word in words:
        assert word in str(caught.value)


def test_nothing_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims that are named train and draw what they need; the sweep comes with all claims, or if asked for."""
    asked: list[bool] = []

    class Made:
        def __init__(self, _factory: object) -> None:
            asked.append(True)

        def records(self, _progress: object) -> list[dict]:
            return sweep()

    monkeypatch.setattr(verify, "Sweep", Made)
    monkeypatch.setattr(verify, "chosen", lambda _=None: [(SOUND, None)])
    monkeypatch.setattr(verify.CaseFactory, "train_ahead", lambda _: None)

    def files(*claims: Claim, **options: Any) -> set[str]:
        verify.verify(claims or None, out=tmp_path, overwrite=True, **options)
        return {path.name for path in tmp_path.iterdir() if path.is_file()}

    plain, figure = {"report.html", "records.json", "records.csv"}, {"bound_versus_rank.pdf", "bound_versus_rank.png"}
    assert (files(), asked) == (plain | figure, [True])
    assert (files(SOUND), asked) == (plain, [True])  # the figure of the run before is gone
    assert (files(SOUND, sweep=True), asked) == (plain | figure, [True, True])
    assert (files(sweep=False), asked) == (plain, [True, True])
    assert verify.verify(None).records["sweep"] == []
    assert asked == [True, True]


# In a fresh process.


THEIRS = """
from dataclasses import replace
from icl_theory import Estimate
from icl_theory.claims import Claim, Control

def value(x):
    return lambda case: x

caught = (Control("one", predict=value(0.5)), Control("two", predict=value(0.6)))
finding = Claim(label="finding", source="s", statement="x = y", origin="paper", relation="at most", measure=value(1.0),
                predict=value(0.9), controls=caught, cases=lambda factory: factory.random(1)[:1])
open_ = replace(finding, label="inconclusive", measure=value(Estimate(1.0, 0.1, 9, "unbiased")), controls=(
    Control("one", predict=value(0.1)), Control("two", predict=value(0.2))))
slipped = replace(finding, label="slipped", predict=value(2.0), controls=(*caught, Control("none", predict=value(2.0))))
broken = replace(finding, label="broken", measure=lambda case: 1 / 0)
CLAIMS = [finding, open_, slipped, broken]
"""
SCRIPT = """
import sys
from icl_theory.cli.main import main
print([main(["verify", "--claims", label]) for label in ("finding", "inconclusive", "broken")], file=sys.stderr)
sys.exit(main(["verify", "--claims", "finding", "slipped"]))
"""


def test_status_0_and_1(tmp_path: Path) -> None:
    """Claims of an installed package; the last of three runs gives the process its status."""
    (tmp_path / "theirs.py").write_text(THEIRS, encoding="utf-8")
    write_distribution(tmp_path, "theirs", "1.0", {"theirs": "theirs:CLAIMS"})
    variables = environment(tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, encoding="utf-8", timeout=300, check=False, env=variables
    )
    assert done.returncode == 1, done.stderr
    assert "[0, 1, 1]" in done.stderr.splitlines()
    assert "not sound: inconclusive: INCONCLUSIVE" in done.stderr
    assert "not sound: slipped: controls not caught: none" in done.stderr
    assert "not sound: broken: ERROR in theirs 1.0: ZeroDivisionError (division by zero) at theirs.py:" in done.stderr
    assert "not sound: finding" not in done.stderr
