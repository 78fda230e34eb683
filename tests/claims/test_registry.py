"""The check itself (every verdict, every relation), and every claim with its controls on freshly trained models."""

import functools
import importlib
import json
import math
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from icl_theory import Estimate, LinearRegression, Model, check, implicit_trajectory
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.check import Evidence
from icl_theory.claims.engine.claim import EXACT_TOLERANCE, Assumption, Claim, Control, Verdict
from icl_theory.claims.engine.examine import examine, overall_verdict
from icl_theory.claims.engine.expected_verdicts import expected_verdicts
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.order import LABELS
from icl_theory.claims.quantities.scalar_counterexample import simulate
from icl_theory.claims.recheck import recheck
from icl_theory.claims.registry import load, load_all
from icl_theory.claims.truncation.truncation_norm_key import integer_counterexample
from icl_theory.models.attention import layer_update, second_moment
from icl_theory.records.files import read_json, write_json
from icl_theory.truncation.svd import truncate

FOUND = expected_verdicts()


def a_case():
    one = np.ones((1, 2, 2))
    return Case("a case", "random", 0, Model(one, one, one), LinearRegression(1), np.ones(1), np.eye(2))


def a_claim(**changes):
    claim = Claim(
        label="label",
        source="source",
        statement="statement",
        origin="new",
        relation="at most",
        measure=lambda c: 1.0,
        predict=lambda c: 2.0,
    )
    return replace(claim, **changes)


ESTIMATE = Estimate(1.0, 0.1, 100, "unbiased")

VERDICTS = [
    ({}, Verdict.HOLDS),
    ({"relation": "at least"}, Verdict.FAILS),
    ({"relation": "equal"}, Verdict.FAILS),
    ({"relation": "equal", "predict": lambda c: 1.0 + 1e-13}, Verdict.HOLDS),
    ({"relation": "equal", "predict": lambda c: 1.0 + 1e-9}, Verdict.FAILS),
    ({"predict": lambda c: 1.0 - 1e-13}, Verdict.HOLDS),
    ({"measure": lambda c: ESTIMATE}, Verdict.HOLDS),
    ({"measure": lambda c: ESTIMATE, "predict": lambda c: 1.5}, Verdict.INCONCLUSIVE),
    ({"measure": lambda c: ESTIMATE, "predict": lambda c: 0.3}, Verdict.FAILS),
    ({"measure": lambda c: ESTIMATE, "relation": "equal", "predict": lambda c: 1.5}, Verdict.HOLDS),
    ({"measure": lambda c: ESTIMATE, "relation": "equal"}, Verdict.FAILS),
    ({"measure": lambda c: math.nan}, Verdict.NONFINITE),
    ({"measure": lambda c: math.inf}, Verdict.NONFINITE),
    ({"predict": lambda c: math.nan}, Verdict.NONFINITE),
    ({"predict": lambda c: math.inf}, Verdict.HOLDS),
    ({"predict": lambda c: math.inf, "trivial": lambda c: 3.0}, Verdict.VACUOUS),
    ({"trivial": lambda c: 3.0}, Verdict.HOLDS),
    ({"trivial": lambda c: 2.0}, Verdict.VACUOUS),
    ({"assumptions": (Assumption("it rains", lambda c: False),)}, Verdict.OUTSIDE),
    ({"assumptions": (Assumption("pigs fly", lambda c: False, lambda c: False),)}, Verdict.VACUOUS),
    ({"assumptions": (Assumption("fine", lambda c: True, lambda c: True),)}, Verdict.HOLDS),
    ({"relation": "never", "measure": lambda c: False}, Verdict.HOLDS),
    ({"relation": "never", "measure": lambda c: True}, Verdict.FAILS),
    ({"relation": "exists", "measure": lambda c: True}, Verdict.HOLDS),
    ({"measure": lambda c: np.array([0.0, 5.0])}, Verdict.FAILS),
    ({"measure": lambda c: np.zeros((3, 2)), "predict": lambda c: np.ones((3, 2))}, Verdict.HOLDS),
]


@pytest.mark.parametrize(("changes", "verdict"), VERDICTS)
def test_every_verdict(changes, verdict):
    assert check(a_claim(**changes), a_case()).verdict == verdict


def test_deciding_entry():
    """Check reports the deciding entry."""
    evidence = check(a_claim(measure=lambda c: np.array([1.0, 5.0, 3.0])), a_case())
    assert (evidence.measured, evidence.predicted, evidence.slack) == (5.0, 2.0, -0.6)
    with pytest.raises(ValueError, match="z: got 0"):
        check(a_claim(), a_case(), z=0)


def test_conclusions():
    """Conclusions from many cases."""

    def seen(*verdicts):
        return [Evidence(v, "", 0, 0, 0, 0) for v in verdicts]

    universal, exists = a_claim(), a_claim(relation="exists")
    assert overall_verdict(universal, seen(Verdict.HOLDS, Verdict.FAILS)) == Verdict.FAILS
    assert overall_verdict(universal, seen(Verdict.HOLDS, Verdict.INCONCLUSIVE)) == Verdict.INCONCLUSIVE
    assert overall_verdict(universal, seen(Verdict.HOLDS, Verdict.VACUOUS, Verdict.OUTSIDE)) == Verdict.HOLDS
    assert overall_verdict(universal, seen(Verdict.OUTSIDE)) == Verdict.OUTSIDE
    assert overall_verdict(universal, seen(Verdict.NONFINITE, Verdict.FAILS)) == Verdict.NONFINITE
    assert overall_verdict(universal, []) == Verdict.OUTSIDE
    assert overall_verdict(exists, seen(Verdict.FAILS, Verdict.HOLDS)) == Verdict.HOLDS


def test_uncaught_control(factory):
    """An uncaught control makes the outcome unsound."""
    blind = a_claim(
        cases=lambda w: [a_case()],
        controls=(Control("nothing changed", tolerance=EXACT_TOLERANCE),),
    )
    outcome = examine(blind, factory)
    assert outcome.verdict == Verdict.HOLDS
    assert not outcome.sound
    assert examine(replace(blind, controls=()), factory).sound
    assert not examine(replace(blind, controls=(), proof=lambda: False), factory).sound


@pytest.fixture(scope="session")
def factory():
    """One set of trained ensembles for all claims; training begins at once, beside the tests that need none."""
    with closing(CaseFactory(PROFILES["quick"], 0)) as made:
        made.train_ahead()
        yield made


@functools.cache
def outcome_of(label, factory):
    """A claim is examined once for all tests of this file."""
    return examine(load(label), factory)


@pytest.mark.parametrize("label", LABELS)
def test_claim(label, factory):
    claim = load(label)
    outcome = outcome_of(label, factory)
    assert outcome.verdict == FOUND[label]
    assert sum(control.expected == Verdict.FAILS for control in claim.controls) >= 2
    assert [c.name for c in outcome.controls if not c.caught] == []
    # A check that can only say one thing shows nothing: the controls must lead it to the other side as well.
    controlled = {c.verdict for c in outcome.controls}
    assert (Verdict.HOLDS if outcome.verdict == Verdict.FAILS else Verdict.FAILS) in controlled
    # The statement fails by a counterexample, or says that there is one; the cells of a finding are in its record.
    shown = outcome.verdict == claim.of_a_counterexample and not claim.finding
    assert bool(outcome.counterexamples) == shown
    json.dumps(outcome.counterexamples)
    assert claim.label == label
    assert claim.explanation


def test_all_kinds_of_weights(factory):
    """All kinds of weights are tried."""
    cases = factory.standard()
    assert {case.kind for case in cases} == {"random", "constructed", "trained", "truncated"}
    assert {case.layers for case in cases} == {1, 3}
    assert len({case.seed for case in cases if case.kind != "truncated"}) == sum(c.kind != "truncated" for c in cases)
    assert all(case.model.value.dtype == np.float64 for case in cases)


def test_unknown_claims():
    """Unknown claims are errors."""
    with pytest.raises(ValueError, match="did you mean 'theorem_2_repaired'"):
        load("theorem_2_repared")
    with pytest.raises(ValueError, match="empty list"):
        load_all([])
    assert [c.label for c in load_all(["theorem_1", "lemma_1"])] == ["lemma_1", "theorem_1"]
    assert [c.label for c in load_all()] == list(LABELS)


@pytest.mark.parametrize(
    "label",
    [
        label
        for label, verdict in FOUND.items()
        if verdict == load(label).of_a_counterexample and not load(label).finding
    ],
)
def test_recheck_from_files(label, factory, tmp_path):
    """Counterexamples can be rechecked from their files."""
    (document,) = outcome_of(label, factory).counterexamples
    path = write_json(tmp_path / "counterexample.json", document)
    found = recheck(read_json(path))
    assert found.confirmed
    assert (found.evidence.measured, found.evidence.predicted) == (document["measured"], document["predicted"])
    assert found.exact is (None if load(label).exact_counterexample is None else True)


@pytest.mark.parametrize("label", ["theorem_1_printed", "upper_bound_printed"])
def test_no_counterexample(label, factory):
    """A file that is no counterexample is not confirmed."""
    (document,) = outcome_of(label, factory).counterexamples
    zero = {name: np.zeros_like(document["case"]["model"][name]).tolist() for name in ("value", "key", "query")}
    assert not recheck(document | {"case": document["case"] | {"model": document["case"]["model"] | zero}}).confirmed


def test_recheck_input(factory):
    """`recheck` rejects what is no counterexample."""
    (document,) = outcome_of("upper_bound_printed", factory).counterexamples
    with pytest.raises(ValueError, match="a document of another kind"):
        recheck({"claim": "lemma_1"})
    with pytest.raises(ValueError, match="a defect at 'tokens'"):
        recheck(document | {"exact": {k: v for k, v in document["exact"].items() if k != "tokens"}})
    with pytest.raises(ValueError, match="a description with a defect at 'seed'"):
        recheck(document | {"case": {k: v for k, v in document["case"].items() if k != "seed"}})


def test_exact_by_hand():
    """Exact counterexamples by hand."""
    key = integer_counterexample()
    value, query, tokens = (np.array(key[n]) for n in ("value", "query", "tokens"))
    norms = [
        (
            layer_update(value, truncate(np.array(key["key"]), rank).matrix, query, second_moment(tokens, "sum")) ** 2
        ).sum()
        for rank in (2, 1)
    ]
    assert norms[1] > norms[0]
    one = np.ones((2, 1, 1))
    path = implicit_trajectory(Model(one, one, one), np.ones((1, 1)))
    assert (path.accumulated[2, 0, 0], 2 * path.gradient[1, 0, 0]) == (9, 16)


EXACT = (
    "mask_softmax",
    "lemma_6_second_line",
    "noise_trace_key",
    "noise_trace_norm",
    "case_1_eigenvalues",
    "dropped_layer_printed",
    "truncation_isotropic",
    "theorem_1_printed",
    "causal_order",
    "remark_4_printed",
    "upper_bound_printed",
    "truncation_norm_key",
    "truncation_norm_later",
    "magnitude_pruning",
    "mlp_relu",
    "truncation_trap",
    "readout_sign",
)
NOTHING = {
    "mlp_relu": {"update": [0]},
    "truncation_trap": {"variances": [1, 1]},
    "readout_sign": {"second": [2, 2]},
    "mask_softmax": {"queries": [2, 2]},
    "lemma_6_second_line": {"sets": [[1, 2, 3], [3, 1, 2]]},
    "case_1_eigenvalues": {"matrix": [[1, 0], [0, 2]]},
    "dropped_layer_printed": {"tokens": [3]},
}
"""What makes a counterexample none; for the others it is a W_Q of zeros."""


def test_exact_ones_are_listed():
    """Every exact counterexample is among those below."""
    assert {label for label in LABELS if load(label).exact_counterexample is not None} == set(EXACT)


@pytest.mark.parametrize("label", EXACT)
def test_exact_can_say_no(label):
    """Exact rechecks can say no."""
    claim = load(label)
    assert claim.exact_counterexample is not None
    assert claim.verify_exact is not None
    found = claim.exact_counterexample()
    assert claim.verify_exact(found)
    nothing = NOTHING.get(label) or {"query": np.zeros_like(found["query"]).tolist()}
    assert not claim.verify_exact(found | nothing)


def test_scalar_slow_twin():
    """The one-dimensional model run by run, with a population loss by sampling, at a scale that floats can hold."""
    length, runs = 6.0, 4000
    rng, gaps = np.random.default_rng(1), []
    for _ in range(runs):
        h2 = np.exp(rng.uniform(0, length, 5))
        gradient, covariance = h2.mean(), (h2**2).mean() - h2.mean() ** 2
        w = gradient + math.sqrt(covariance) * rng.standard_normal()
        fresh = np.exp(rng.uniform(0, length, 400))

        def loss(squares, w=w):
            distance = np.log(squares) - math.log(abs(w))
            return 1.0 - np.interp(distance, [0, 0.25, 2.75, 3], [0, 1, 1, 0]).mean()

        gaps.append(loss(fresh) - loss(h2))
    gap = simulate(3, 200_000, length).gap
    assert abs(gap.value - np.mean(gaps)) < 6 * math.hypot(gap.stderr, np.std(gaps) / math.sqrt(runs))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_seed_independence(seed):
    """Verdicts do not depend on the seed."""
    other = CaseFactory(PROFILES["quick"], seed)
    for claim in load_all():
        outcome = examine(claim, other)
        assert (claim.label, outcome.verdict, outcome.sound) == (claim.label, FOUND[claim.label], True)


def test_template(factory):
    """The template is a sound claim."""
    template = importlib.import_module("icl_theory.claims._template").CLAIM
    outcome = examine(replace(template, cases=lambda w: w.random(1)), factory)
    assert outcome.verdict == Verdict.HOLDS
    assert outcome.sound
