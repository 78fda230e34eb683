"""The campaign of experiments/false_alarms.py: counting by hand, going on after a break, and a small real one."""

import gzip
import json
from pathlib import Path

import error_rates
import false_alarms
import pytest
from scipy.stats import beta

from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.engine.examine import examine
from icl_theory.claims.order import LABELS
from icl_theory.claims.registry import load_all

ROOT = Path(__file__).parents[2]


def row(seed, verdict="HOLDS", cases=None, controls=(), **changes):
    found = {"seed": seed, "claim": "c", "relation": "equal", "verdict": verdict, "statistical": False, "proved": None}
    return found | {"cases": cases or {verdict: 1}, "controls": [list(c) for c in controls]} | changes


def test_errors_counted_by_hand():
    good, slipped = ("wrong", "FAILS", "FAILS"), ("wrong", "HOLDS", "FAILS")
    rows = [
        row(3, cases={"HOLDS": 3, "FAILS": 1}, verdict="FAILS", controls=[slipped]),
        row(1, cases={"HOLDS": 4}, controls=[good, ("sound", "HOLDS", "HOLDS"), ("no case", "OUTSIDE", "FAILS")]),
        row(2, cases={"HOLDS": 3, "INCONCLUSIVE": 1}, controls=[good, ("sound", "FAILS", "HOLDS")], proved=False),
    ]
    found = error_rates.tally(rows)
    assert found["verdict"] == "HOLDS"
    assert (found["false_alarms"]["errors"], found["false_alarms"]["runs"]) == (2, 14)
    assert (found["misses"]["errors"], found["misses"]["runs"]) == (1, 3)
    assert (found["undecided"]["errors"], found["undecided"]["runs"]) == (1, 17)
    assert (found["unproved"], found["seeds"]) == (1, 3)
    assert found["verdicts"] == {"FAILS": 1, "HOLDS": 2}


def test_miss():
    """A false statement is missed when it holds."""
    found = error_rates.tally([row(0, "FAILS", {"FAILS": 1, "HOLDS": 9}), row(1, "HOLDS"), row(2, "FAILS")])
    assert (found["misses"]["errors"], found["misses"]["runs"]) == (1, 3)
    assert found["false_alarms"]["interval"] is None


def test_undecided_not_counted():
    """Nothing is counted where the reference did not decide."""
    found = error_rates.tally([row(0, "INCONCLUSIVE"), row(1, "FAILS")])
    assert (found["false_alarms"]["runs"], found["misses"]["runs"]) == (0, 0)
    assert found["undecided"]["errors"] == 1


def test_totals():
    """Totals keep exact and statistical claims apart."""
    lines = [row(0), row(1, "FAILS"), row(0, claim="s", statistical=True)]
    totals = error_rates.summary(lines)["totals"]
    assert (totals["exact"]["false_alarms"]["errors"], totals["exact"]["false_alarms"]["runs"]) == (1, 2)
    assert (totals["statistical"]["claims"], totals["statistical"]["false_alarms"]["errors"]) == (1, 0)
    assert "all exact" in error_rates.table(error_rates.summary(lines))


@pytest.mark.parametrize(("errors", "runs"), [(0, 1000), (1, 200), (7, 7), (3, 40)])
def test_clopper_pearson(errors, runs):
    """Clopper pearson against beta quantiles."""
    found = error_rates.rate(errors, runs)
    low = beta.ppf(0.025, errors, runs - errors + 1) if errors else 0.0
    high = beta.ppf(0.975, errors + 1, runs - errors) if errors < runs else 1.0
    assert found["interval"] == pytest.approx([low, high], abs=4e-12)  # scipy's root finder stops at 2e-12


@pytest.fixture
def counted(monkeypatch):
    """Two claims that need no model, and the number of times each was examined."""
    calls = []

    def counting(claim, factory):
        calls.append((factory.seed, claim.label))
        return examine(claim, factory)

    monkeypatch.setattr(false_alarms, "examine", counting)
    controls = (Control("wrong", predict=lambda case: 2.0),)
    claims = [
        Claim(
            label=name,
            source="s",
            statement="s",
            origin="new",
            relation="equal",
            measure=lambda c: 1.0,
            predict=lambda c: 1.0,
            controls=controls,
            cases=lambda w: w.random(1),
        )
        for name in ("first", "second")
    ]
    return calls, claims


def test_campaign_resumes(tmp_path, counted):
    """A campaign goes on where it stopped."""
    calls, claims = counted
    path, options = tmp_path / "deeper" / "campaign.jsonl", {"profile": "quick", "untrained": True}
    first = false_alarms.campaign(path, claims, range(2), **options)
    assert calls == [(0, "first"), (0, "second"), (1, "first"), (1, "second")]
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-20], encoding="utf-8")  # broken off in the middle of the last line
    calls.clear()
    again = false_alarms.campaign(path, claims, range(3), **options)
    assert calls == [(1, "second"), (2, "first"), (2, "second")]
    assert again[:4] == first
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]] == again
    assert error_rates.summary(again)["claims"][0]["false_alarms"]["runs"] == 12


def test_enough_checks(tmp_path, counted, monkeypatch):
    """A claim is left alone once it has been checked often enough."""
    calls, claims = counted
    monkeypatch.setattr(false_alarms, "FEWEST_SEEDS", 2)
    options = {"profile": "quick", "untrained": True, "runs": (10, 1)}
    false_alarms.campaign(tmp_path / "c.jsonl", claims, range(8), **options)
    assert calls == [(seed, name) for seed in range(3) for name in ("first", "second")]  # four cases a seed


def test_what_counts_as_a_check():
    controls = [("wrong", "FAILS", "FAILS"), ("sound", "HOLDS", "HOLDS")]
    cases = {"HOLDS": 3, "OUTSIDE": 1}
    assert false_alarms.checks(row(0, cases=cases, controls=controls, population=False)) == 4
    assert false_alarms.checks(row(0, cases=cases, controls=controls, population=True)) == 1
    assert false_alarms.checks(row(0, cases=cases, population=False, relation="exists")) == 1
    assert false_alarms.checks(row(0, "FAILS", cases=cases, controls=controls, population=True)) == 3


def test_several_processes(tmp_path):
    """Processes find what one finds."""
    options = {"profile": "quick", "untrained": True}
    claims = load_all(["lemma_1", "theorem_1_printed", "trained_to_optimum"])
    one = false_alarms.campaign(tmp_path / "one.jsonl", claims, range(2), **options)
    two = false_alarms.campaign(tmp_path / "two.jsonl", claims, range(2), jobs=2, **options)
    assert sorted(one, key=str) == sorted(two, key=str)
    assert [(row["seed"], row["claim"]) for row in one] == [
        (seed, name) for seed in range(2) for name in ("lemma_1", "theorem_1_printed")
    ]


def test_other_campaign(tmp_path, counted):
    """Another campaign is not mixed in."""
    _, claims = counted
    path = tmp_path / "campaign.jsonl"
    false_alarms.campaign(path, claims, range(1), profile="quick", untrained=True)
    with pytest.raises(ValueError, match=r"untrained False \(saved: True\).*start again"):
        false_alarms.campaign(path, claims, range(1), profile="quick", untrained=False)
    path.write_text("no json\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a line that is no JSON"):
        false_alarms.campaign(path, claims, range(1), profile="quick", untrained=True)


def test_documented_numbers():
    """The whole campaign as it was run: its lines, counted again, against what docs/trust.md says of them."""
    first, *lines = map(
        json.loads, gzip.decompress((ROOT / "experiments/records/false_alarms.jsonl.gz").read_bytes()).splitlines()
    )
    assert first == {"format": false_alarms.FORMAT, "profile": "quick", "untrained": False}
    found, text = error_rates.summary(lines), " ".join((ROOT / "docs/trust.md").read_text(encoding="utf-8").split())
    exact, statistical = found["totals"]["exact"], found["totals"]["statistical"]
    counts = [total[name] for total in (exact, statistical) for name in ("false_alarms", "misses")]
    assert not any(count["errors"] for count in counts)
    runs = [f"{count['runs']:,}".replace(",", " ") if count["runs"] > 9999 else count["runs"] for count in counts]
    assert (
        f"The {exact['claims']} exact claims gave no false alarm in {runs[0]} checks of true statements and no miss in "
        f"{runs[1]} of negative controls, the {statistical['claims']} statistical ones none in {runs[2]} and {runs[3]};"
    ) in text
    seeds = [tally["seeds"] for tally in found["claims"]]
    assert f"under all seeds it was tried on, {min(seeds)} to {max(seeds)} of them." in text
    undecided = sum(tally["undecided"]["errors"] for tally in found["claims"])
    assert f"{undecided} cases, all of dropped_first_layer, were too close to decide." in text
    for tally in found["claims"]:
        assert len(tally["verdicts"]) == 1, tally["claim"]
        assert tally["undecided"]["errors"] == 0 or tally["claim"] == "dropped_first_layer"
        rows = [row for row in lines if row["claim"] == tally["claim"]]
        assert sum(map(false_alarms.checks, rows)) >= (200 if tally["statistical"] else 1000), tally["claim"]
    assert {tally["claim"] for tally in found["claims"]} <= set(LABELS)


def test_untrained_factories():
    """Untrained factories train nothing."""
    factory = false_alarms.Untrained(false_alarms.PROFILES["quick"], 0)
    assert {case.kind for case in factory.standard()} == {"random", "constructed", "truncated"}
    assert factory.ensembles.begun == ()


@pytest.mark.slow
def test_no_alarm_no_miss(tmp_path):
    """Two seeds of every claim that needs no training; 20 seeds and more are for the script."""
    claims = load_all(LABELS)
    lines = false_alarms.campaign(tmp_path / "c.jsonl", claims, range(100, 102), profile="quick", untrained=True)
    exact = error_rates.summary(lines)["totals"]["exact"]
    assert exact["claims"] > 40
    assert exact["false_alarms"]["runs"] > 1000
    assert (exact["false_alarms"]["errors"], exact["misses"]["errors"], exact["undecided"]["errors"]) == (0, 0, 0)
