"""Statements about a population of trained seeds: one interval over seeds, and what travels with it."""

import csv
import dataclasses
import io
import itertools
import json
import math
from dataclasses import replace

import error_rates
import false_alarms
import numpy as np
import pytest
from helpers import error_message
from schema import problems

from icl_theory import Estimate, LinearRegression, Model, check
from icl_theory.claims import recheck as verifying
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control, Verdict
from icl_theory.claims.engine.examine import examine, overall_verdict
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.engine.seed_interval import ALPHA, interval_over_seeds, seed_interval, verdict_over_seeds
from icl_theory.claims.recheck import recheck
from icl_theory.claims.record import record
from icl_theory.records.claims_csv import table
from icl_theory.records.documents import to_plain
from icl_theory.report.page.claim import sheet
from icl_theory.report.page.elements import Markup
from icl_theory.report.terminal.explain import explain_text
from icl_theory.report.terminal.tables import evidence_text

STUDENT_3 = 10.214531852407  # of three degrees of freedom, exceeded with a chance of 0.001


def seeds(count: int = 4) -> list[Case]:
    one = np.ones((1, 2, 2))
    model = Model(one, one, one)
    return [
        Case(f"trained, seed {i}", "trained", i, model, LinearRegression(1), np.ones(1), np.eye(2))
        for i in range(count)
    ]


def a_claim(margins: list[float], **changes) -> Claim:
    """ "At most 10" with the margins given, one per seed."""
    claim = Claim(
        label="lemma_1",
        source="source",
        statement="statement",
        origin="new",
        relation="at most",
        measure=lambda case: 10.0 - margins[case.seed],
        predict=lambda case: 10.0,
        controls=(Control("turned round", relation="at least"),),
        cases=lambda factory: seeds(len(margins)),
        over_seeds=True,
    )
    return replace(claim, **changes)


def outcome(margins: list[float], **changes):
    return examine(a_claim(margins, **changes), CaseFactory(PROFILES["quick"], 0))


def test_student_quantile():
    """F(t) = 1/2 + (x/(1 + x²) + arctan x)/π with x = t/√3, for three degrees of freedom."""
    x = STUDENT_3 / math.sqrt(3)
    assert 0.5 + (x / (1 + x * x) + math.atan(x)) / math.pi == pytest.approx(1 - ALPHA, abs=1e-12)


def test_four_seeds_by_hand():
    """0.9, 1.0, 1.0, 1.1: s² = 0.02/3 and s/√4 = √(0.02/12)."""
    found = seed_interval([0.9, 1.0, 1.0, 1.1])
    assert found is not None
    half = STUDENT_3 * math.sqrt(0.02 / 12)
    assert (found.mean, found.stderr) == (pytest.approx(1.0), pytest.approx(math.sqrt(0.02 / 12)))
    assert (found.low, found.high) == (pytest.approx(1 - half), pytest.approx(1 + half))
    assert (found.seeds, found.seeds_for, found.seeds_against, found.quantile) == (4, 4, 0, pytest.approx(STUDENT_3))
    assert found.verdict == Verdict.HOLDS


@pytest.mark.parametrize(
    ("margins", "verdict", "for_and_against"),
    [
        ([0.9, 1.0, 1.0, 1.1], Verdict.HOLDS, (4, 0)),
        ([-0.9, -1.0, -1.0, -1.1], Verdict.FAILS, (0, 4)),
        ([1.0, 2.0, 3.0, 4.0], Verdict.INCONCLUSIVE, (4, 0)),  # 2.5 ± 10.2 · 0.645: four seeds in favour are too few
        ([-1.0, 2.0, 0.0, 4.0], Verdict.INCONCLUSIVE, (2, 1)),
        ([0.0, 0.0, 0.0], Verdict.INCONCLUSIVE, (0, 0)),  # nothing was seen, so nothing is confirmed
        ([2.0] * 9, Verdict.INCONCLUSIVE, (9, 0)),  # no spread to judge by, and 2^{-9} > 0.001
        ([2.0] * 10, Verdict.HOLDS, (10, 0)),
        ([-0.1] * 10, Verdict.FAILS, (0, 10)),
        ([5.0], Verdict.INCONCLUSIVE, None),
        ([], Verdict.ERROR, None),
        ([1.0, math.nan, 1.0], Verdict.NONFINITE, None),
    ],
)
def test_verdicts(margins, verdict, for_and_against):
    """Verdicts of a population."""
    found = outcome(margins)
    assert found.verdict == verdict
    turned = {Verdict.HOLDS: Verdict.FAILS, Verdict.FAILS: Verdict.HOLDS}
    assert [c.verdict for c in found.controls] == [turned.get(verdict, verdict)]
    population = found.over_seeds
    assert (population is None) == (for_and_against is None)
    if population is not None:
        assert (population.seeds_for, population.seeds_against) == for_and_against


def test_one_seed_against():
    """One seed against does not break a statement on the mean."""
    margins = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.1, 0.9, 1.0, 1.0, -0.01]
    assert outcome(margins).verdict == Verdict.HOLDS
    assert outcome(margins, over_seeds=False).verdict == Verdict.FAILS


def test_errors_within_seeds():
    """The spread over seeds holds the noise of each already; what is estimated within a seed decides nothing."""
    margins = [0.9, 1.0, 1.0, 1.1]
    noisy = outcome(margins, measure=lambda case: Estimate(10 - margins[case.seed], 5.0, 9, "unbiased"))
    assert {item.verdict for item in noisy.evidence} == {Verdict.INCONCLUSIVE}
    assert noisy.over_seeds == outcome(margins).over_seeds


def test_seeds_outside():
    """Seeds outside the assumptions are no members."""
    young = Assumption("an even seed", lambda case: case.seed % 2 == 0)
    found = outcome([0.9, -7.0, 1.0, -7.0, 1.0, -7.0, 1.1], assumptions=(young,))
    expected = seed_interval([0.9, 1.0, 1.0, 1.1])
    assert found.over_seeds is not None
    assert expected is not None
    assert dataclasses.astuple(found.over_seeds) == pytest.approx(dataclasses.astuple(expected))


def test_inequalities_only():
    """A statement over seeds is an inequality."""
    assert "expected an inequality over seeds" in error_message(a_claim, [1.0, 2.0], relation="equal")
    claim = a_claim([1.0, 2.0])
    evidence = [check(claim, case) for case in seeds(2)]
    assert interval_over_seeds(replace(claim, over_seeds=False), evidence) is None


def test_all_random_signs():
    """±1 with k minus signs has t = (12 - 2k) √11/√(144 - (12 - 2k)²): above 4.02 for k = 0 and 1, 13 of 4096."""
    holds = sum(
        (found := seed_interval(signs)) is not None and found.verdict == Verdict.HOLDS
        for signs in itertools.product((1.0, -1.0), repeat=12)
    )
    assert holds == 1 + 12


def test_shuffled_population(rng):
    """A clear effect holds; with a random sign for every seed it does not, but for the rare draws counted above."""
    effect = 1.0 + 0.1 * rng.standard_normal(12)
    assert outcome(list(effect)).verdict == Verdict.HOLDS
    shuffled = [outcome(list(effect * rng.choice([-1, 1], 12)), controls=()).verdict for _ in range(100)]
    assert shuffled.count(Verdict.HOLDS) <= 4
    assert shuffled.count(Verdict.INCONCLUSIVE) >= 92


def test_false_alarm_rate(rng):
    """Normal margins of mean 0: both sides together err in 2 α of the runs."""
    runs = 6000
    wrong = 0
    for margins in rng.standard_normal((runs, 8)):
        found = seed_interval(margins)
        assert found is not None
        wrong += found.verdict != Verdict.INCONCLUSIVE
    expected = 2 * ALPHA * runs
    assert abs(wrong - expected) < 6 * math.sqrt(expected)


def test_recheck_from_all_seeds(monkeypatch):
    """A failing population is rechecked from all its seeds."""
    margins = [-0.9, -1.0, 0.2, -1.2, -1.0, -1.0, -0.9, -1.1]
    # Against a prediction of 0 every slack is -1, relative to the number itself; the margin distinguishes the seeds.
    claim = a_claim(margins, measure=lambda case: -margins[case.seed], predict=lambda case: 0.0)
    [document] = examine(claim, CaseFactory(PROFILES["quick"], 0)).counterexamples
    document = json.loads(json.dumps(to_plain(document)))
    assert document["case"]["seed"] == 3
    assert [other["seed"] for other in document["others"]] == [0, 1, 2, 4, 5, 6, 7]
    monkeypatch.setattr(verifying, "load", lambda label: claim)
    found = recheck(document)
    assert found.confirmed
    assert found.over_seeds is not None
    assert found.over_seeds.mean == pytest.approx(np.mean(margins))
    assert "8 seeds rebuilt: 1 for, 7 against" in str(found)
    # One seed alone says nothing about the mean, whatever it shows itself.
    alone = recheck(document | {"others": []})
    assert alone.evidence.verdict == Verdict.FAILS
    assert not alone.confirmed
    with pytest.raises(ValueError, match="a description with a defect at 'model'"):
        recheck(document | {"others": [{k: v for k, v in document["case"].items() if k != "model"}]})


def test_no_file_if_not_failing():
    """Nothing is kept of a population that does not fail."""
    assert outcome([0.9, 1.0, 1.0, 1.1, -0.1, 1.0, 1.0, 1.0]).counterexamples == []


def test_interval_in_reports():
    """The interval reaches every report."""
    found = outcome([-0.9, -1.0, -1.0, -1.1])
    kept = to_plain(record(replace(found, seconds=1.0)))
    assert problems(kept, "claim") == []
    assert kept["over_seeds"]["seeds_against"] == 4
    assert evidence_text(kept) == "4 seeds: 0 for, 4 against, mean margin -1.00 (-1.42 to -0.583)"
    [row] = csv.DictReader(io.StringIO(table({"claims": [kept]}), newline=""))
    assert (row["over_seeds_seeds"], row["seeds_for"], row["seeds_against"]) == ("4", "0", "4")
    assert float(row["over_seeds_high"]) == kept["over_seeds"]["high"]
    page = sheet(kept, 1, 6.0)
    assert isinstance(page, Markup)
    assert "0 of 4 seeds for the statement, 4 against it" in page
    assert "The file holds all 4 seeds" in page
    assert "Student interval" in explain_text(found.claim)


def test_no_interval_otherwise():
    """A claim of another kind has no interval."""
    kept = to_plain(record(replace(outcome([1.0, 2.0], over_seeds=False), seconds=1.0)))
    assert kept["over_seeds"] is None
    [row] = csv.DictReader(io.StringIO(table({"claims": [kept]}), newline=""))
    assert row["over_seeds_mean"] == row["seeds_for"] == ""


def test_campaign_judges_whole():
    """Cases against a statement that holds on the mean are no false alarms; its verdict is what counts."""
    rows = [
        {"seed": s, "claim": "c", "relation": "at most", "population": True, "verdict": v, "statistical": True}
        | {"proved": None, "cases": {"HOLDS": 9, "FAILS": 2, "INCONCLUSIVE": 1}, "controls": []}
        for s, v in enumerate(("HOLDS", "HOLDS", "FAILS", "INCONCLUSIVE"))
    ]
    found = error_rates.tally(rows)
    assert (found["false_alarms"]["errors"], found["false_alarms"]["runs"]) == (1, 4)
    assert (found["undecided"]["errors"], found["undecided"]["runs"]) == (1, 4)
    line = false_alarms.line(outcome([1.0, 1.1]), 0)
    assert (line["population"], line["statistical"]) == (True, True)


def test_same_method_everywhere():
    """All conclusions use the same method."""
    claim = a_claim([0.9, 1.0, 1.0, 1.1])
    evidence = [check(claim, case) for case in seeds()]
    assert (
        overall_verdict(claim, evidence)
        == verdict_over_seeds(claim, evidence)
        == examine(claim, CaseFactory(PROFILES["quick"], 0)).verdict
    )
