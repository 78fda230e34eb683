"""How `check` compares arrays: entry by entry, each against its own size, with one entry deciding and reported."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers import error_message
from ledger import EQUAL, cases
from small_case import case

from icl_theory import Estimate, check
from icl_theory.claims.engine.check import SMALL_ENTRY, Evidence
from icl_theory.claims.engine.claim import EXACT_TOLERANCE, Claim, Verdict

ONE = case(1.0)


def claim(relation: Any, measured: Any, predicted: Any, **changes: Any) -> Claim:
    values = {"measure": lambda _: measured, "predict": lambda _: predicted}
    return replace(EQUAL, relation=relation, assumptions=(), controls=(), proof=None, cases=cases, **values, **changes)


def found(relation: Any, measured: Any, predicted: Any, **changes: Any) -> Evidence:
    return check(claim(relation, measured, predicted, **changes), ONE)


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
@pytest.mark.parametrize("side", ["measured", "predicted"])
def test_small_entry(order: list[int], side: str) -> None:
    """1 against 1.0005 beside 1e8: half a thousandth is no rounding, not even that of a share of 1e8."""
    right = np.array([1e3, 50.0])[order]
    wrong = right * np.where(right == 50.0, 1.0005, 1.0)
    pair = (wrong, right) if side == "measured" else (right, wrong)
    evidence = found("equal", *pair)
    assert evidence.verdict == Verdict.FAILS
    assert {evidence.measured, evidence.predicted} == {50.0, 50.0 * 1.0005}
    assert evidence.slack == pytest.approx(-0.025 / (50.0 * 1.0005), rel=1e-9)


def test_tiny_beside_huge() -> None:
    """What was found in public: [1e8, 1] equal to [1e8, 1.0005]."""
    evidence = found("equal", np.array([1e8, 1.0]), np.array([1e8, 1.0005]))
    assert evidence.verdict == Verdict.FAILS
    assert (evidence.measured, evidence.predicted) == (1.0, 1.0005)


@pytest.mark.parametrize("relation", ["equal", "at most", "at least"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_every_entry_counts(relation: str, sign: float) -> None:
    """Each entry in turn is moved by half the tolerance, then by twice the tolerance, to the wrong side."""
    right = sign * np.array([3.0, -0.5, 200.0, -7.0, 4.0])
    away = -1.0 if relation == "at least" else 1.0
    for entry in range(len(right)):
        for part, verdict in ((0.5, Verdict.HOLDS), (2.0, Verdict.FAILS)):
            moved = right.copy()
            size = max(abs(right[entry]), SMALL_ENTRY * 200.0)
            moved[entry] += away * part * EXACT_TOLERANCE * size
            evidence = found(relation, moved, right)
            assert evidence.verdict == verdict
            assert evidence.predicted == right[entry]
            assert evidence.slack == pytest.approx(-part * EXACT_TOLERANCE, rel=1e-2)
            if relation != "equal":  # on the right side it holds whatever the distance
                assert found(relation, 2 * right - moved, right).verdict == Verdict.HOLDS


def test_zero_entry() -> None:
    """Zero by cancellation carries the rounding of what cancelled; nothing else excuses it."""
    largest = 8.0
    scale = SMALL_ENTRY * largest
    for part, verdict in ((0.5, Verdict.HOLDS), (2.0, Verdict.FAILS)):
        deviation = part * EXACT_TOLERANCE * scale
        evidence = found("equal", np.array([largest, deviation]), np.array([largest, 0.0]))
        assert evidence.verdict == verdict
        assert evidence.slack == pytest.approx(-part * EXACT_TOLERANCE, rel=1e-9)
    # Nothing but zeros: any deviation is too large, and none is none.
    assert found("equal", np.zeros(3), np.zeros(3)).verdict == Verdict.HOLDS
    assert found("equal", np.array([0.0, 1e-30]), np.zeros(2)).verdict == Verdict.FAILS
    assert found("equal", 1e-30, 0.0).verdict == Verdict.FAILS


def test_no_trade_between_entries() -> None:
    """Neither a large predicted entry nor an infinite one makes a small broken one rounding."""
    for bound in (1e12, math.inf):
        for measured, predicted in (([1.0, 1.0], [bound, 1.0 - 1e-9]), ([1.0, 1.0], [1.0 - 1e-9, bound])):
            evidence = found("at most", np.array(measured), np.array(predicted))
            assert evidence.verdict == Verdict.FAILS
            assert evidence.predicted == 1.0 - 1e-9
    assert found("at most", np.array([1.0, 2.0]), np.array([math.inf, 3.0])).slack == pytest.approx(1 / 3)
    assert found("equal", np.array([1.0, 2.0]), np.array([1.0, math.inf])).verdict == Verdict.FAILS


def test_deciding_entry() -> None:
    """Relative to each entry, and not the largest difference."""
    evidence = found("at most", np.array([7.0, 1.0, 100.0]), np.array([10.0, 2.0, 120.0]))
    assert (evidence.measured, evidence.predicted) == (100.0, 120.0)
    assert evidence.slack == pytest.approx(20 / 120)
    evidence = found("at least", np.array([7.0, 1.0, -100.0]), np.array([10.0, 2.0, -120.0]))
    assert (evidence.measured, evidence.predicted) == (1.0, 2.0)
    assert evidence.slack == pytest.approx(-0.5)
    evidence = found("equal", np.array([[1.0, -2.0], [3.0, 4.0]]), np.array([[1.0, 2.0], [3.0, 4.1]]))
    assert (evidence.measured, evidence.predicted, evidence.slack) == (-2.0, 2.0, -2.0)


def test_mixed_signs() -> None:
    """Mixed signs are no smaller than they are."""
    for pair in ((np.array([-5.0, 5.0]), np.array([-5.0, 5.0])), (np.array([-5.0]), np.array([-5.0]))):
        assert found("equal", *pair).slack == 0.0
        assert found("equal", pair[0], -pair[1]).slack == pytest.approx(-2.0)
    assert found("at most", np.array([-5.0, -1.0]), np.array([-4.0, 1.0])).slack == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("relation", "predicted", "verdict", "slack"),
    [
        ("at most", [1.7, 2.0, 9.0], Verdict.HOLDS, 7.0),
        ("at most", [1.5, 2.0, 9.0], Verdict.INCONCLUSIVE, 5.0),
        ("at most", [2.0, 0.5, 9.0], Verdict.INCONCLUSIVE, -5.0),
        ("at most", [2.0, 0.3, 0.5], Verdict.FAILS, -7.0),
        ("at least", [0.3, 0.2, -9.0], Verdict.HOLDS, 7.0),
        ("at least", [0.3, 0.5, -9.0], Verdict.INCONCLUSIVE, 5.0),
        ("at least", [0.3, 1.7, -9.0], Verdict.FAILS, -7.0),
        ("equal", [1.0, 1.5, 0.5], Verdict.HOLDS, -5.0),
        ("equal", [1.0, 1.7, 0.5], Verdict.FAILS, -7.0),
    ],
)
def test_estimate_and_array(relation: str, predicted: list[float], verdict: Verdict, slack: float) -> None:
    """1 ± 0.1 against three numbers: the one furthest on the wrong side decides, in standard errors."""
    evidence = found(relation, Estimate(1.0, 0.1, 100, "unbiased"), np.array(predicted))
    assert evidence.verdict == verdict
    assert evidence.slack == pytest.approx(slack)
    assert evidence.stderr == 0.1
    assert abs(evidence.measured - evidence.predicted) == pytest.approx(abs(slack) * 0.1)


@pytest.mark.parametrize("errors", [(0.3, 0.4), (0.4, 0.3), (0.5, 0.0), (0.0, 0.5)])
def test_errors_add_as_squares(errors: tuple[float, float]) -> None:
    """0.3 and 0.4 are 0.5 together: not 0.4, not 0.7, and not the first alone."""
    first, second = (Estimate(value, error, 100, "unbiased") for value, error in zip((1.0, 4.1), errors, strict=True))
    evidence = found("at most", first, second)
    assert evidence.stderr == pytest.approx(0.5)
    assert evidence.slack == pytest.approx(6.2)
    assert evidence.verdict == Verdict.HOLDS
    nearer = found("at most", first, replace(second, value=3.9))
    assert (nearer.verdict, nearer.slack) == (Verdict.INCONCLUSIVE, pytest.approx(5.8))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("entry", [0, 1, 2])
def test_not_finite_decides(bad: float, entry: int) -> None:
    """A number that is not finite decides."""
    measured = np.array([1.0, 9.0, 3.0])
    measured[entry] = bad
    for relation in ("equal", "at most", "at least"):
        evidence = found(relation, measured, np.full(3, 2.0))
        assert evidence.verdict == Verdict.NONFINITE
        assert evidence.measured == bad or (math.isnan(evidence.measured) and math.isnan(bad))
        assert math.isnan(evidence.slack)
    predicted = np.array([2.0, 2.0, 2.0])
    predicted[entry] = math.nan
    evidence = found("at most", np.array([1.0, 9.0, 3.0]), predicted)
    assert (evidence.verdict, evidence.measured) == (Verdict.NONFINITE, [1.0, 9.0, 3.0][entry])


@pytest.mark.parametrize(
    ("measured", "predicted"),
    [((3,), (2,)), ((3,), (3, 1)), ((3, 1), (1, 3)), ((2, 3), (2,)), ((0,), (0,)), ((0,), ()), ((2, 2), (4,))],
)
def test_shapes_that_do_not_fit(measured: tuple[int, ...], predicted: tuple[int, ...]) -> None:
    """(3,) against (3, 1) would compare every entry with every other."""
    message = error_message(check, claim("equal", np.ones(measured), np.ones(predicted)), ONE)
    assert "'equal'" in message


def test_one_number_for_all() -> None:
    """One number stands for all entries."""
    for measured, predicted in ((np.ones((2, 3)), 1.0), (1.0, np.ones((2, 3)))):
        assert found("equal", measured, predicted).verdict == Verdict.HOLDS
    assert found("at most", 1.0, np.array([2.0, 0.5])).verdict == Verdict.FAILS


def test_tolerance_of_the_claim() -> None:
    """The tolerance of the claim is the one that counts."""
    pair = np.array([1.0, 2.0]), np.array([1.0, 2.0 * (1 + 1e-6)])
    assert found("equal", *pair).verdict == Verdict.FAILS
    assert found("equal", *pair, tolerance=2e-6).verdict == Verdict.HOLDS
    assert found("equal", *pair, tolerance=5e-7).verdict == Verdict.FAILS


@pytest.mark.parametrize(("relation", "best"), [("at most", 3.0), ("at least", -3.0)])
def test_trivial_bound(relation: str, best: float) -> None:
    """The trivial bound is compared with the deciding entry."""
    side = 1.0 if relation == "at most" else -1.0
    for tight, verdict in ((2.0, Verdict.HOLDS), (3.0, Verdict.VACUOUS), (4.0, Verdict.VACUOUS)):
        evidence = found(relation, side * np.ones(2), side * np.array([tight, 9.0]), trivial=lambda _: best)
        assert evidence.verdict == verdict
        assert evidence.informative == (verdict == Verdict.HOLDS)
