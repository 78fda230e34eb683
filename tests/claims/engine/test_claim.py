"""Claims and controls are validated when they are made; measurements that would lose something are rejected by name."""

import datetime
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import error_message
from small_case import case

from icl_theory.claims import Assumption, CaseFactory, Claim, Control, Verdict, check, examine
from icl_theory.core.estimate import Estimate


def one(_: Any) -> float:
    return 1.0


FIELDS: dict[str, Any] = {"source": "s", "statement": "1 = 1", "origin": "new", "relation": "equal", "measure": one}
FIELDS |= {"predict": one, "label": "small"}


def made(**changes: Any) -> Claim:
    return Claim(**FIELDS | changes)


def compared(measured: Any, predicted: Any = 1.0, relation: str = "equal") -> Verdict:
    return check(made(measure=lambda _: measured, predict=lambda _: predicted, relation=relation), case(1.0)).verdict


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"relation": "<="}, "relation of claim 'small': got '<=', expected one of 'equal', 'at most'"),
        ({"relation": "<="}, "did you mean 'at most'"),
        ({"relation": ">="}, "did you mean 'at least'"),
        ({"relation": "at mots"}, "did you mean 'at most'"),
        ({"relation": None}, "relation of claim 'small': got None"),
        ({"origin": "printed"}, "origin of claim 'small': got 'printed', expected one of 'paper', 'repaired', 'new'"),
        ({"statement": " "}, "statement of claim 'small': got ' ', expected text"),
        ({"source": None}, "source of claim 'small': got None"),
        ({"explanation": 3}, "explanation of claim 'small': got 3"),
        (
            {"statement": "$x = 1"},
            "statement of claim 'small': got '$x = 1', expected marks in pairs; write $x$ around",
        ),
        ({"source": "$"}, "source of claim 'small': got '$', expected marks in pairs"),
        (
            {"explanation": "from $5 to $6"},
            r"expected marks in pairs; write $x$ around a formula without blanks at its ",
        ),
        ({"measure": 1.0}, "measure of claim 'small': got a float, expected a function"),
        ({"predict": None}, "predict of claim 'small': got a NoneType"),
        ({"cases": []}, "cases of claim 'small': got a list, expected a function"),
        ({"trivial": 4.0}, "trivial of claim 'small': got a float"),
        ({"proof": True}, "proof of claim 'small': got a bool"),
        ({"tolerance": -1.0}, "tolerance of claim 'small': got -1.0"),
        ({"tolerance": float("nan")}, "tolerance of claim 'small': got nan"),
        ({"over_seeds": "yes"}, "over_seeds of claim 'small': got 'yes'"),
        ({"over_seeds": True}, "relation of claim 'small': got 'equal', expected an inequality over seeds"),
        (
            {"controls": Control("c", predict=one)},
            "controls of claim 'small': got a Control, expected a tuple of Control",
        ),
        ({"controls": ("c",)}, "controls of claim 'small': got something else among them"),
        ({"controls": (Control("c", predict=one),) * 2}, "controls of claim 'small': got 'c' twice"),
        (
            {"assumptions": [Assumption("a", bool)]},
            "assumptions of claim 'small': got a list, expected a tuple of Assumption",
        ),
        ({"label": "My Claim"}, "label of a claim: got 'My Claim'"),
        ({"label": 3}, "label of a claim: got 3"),
    ],
)
def test_what_is_no_claim(changes: dict[str, Any], words: str) -> None:
    """What is no claim is an error."""
    assert words in error_message(made, **changes)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"relation": "foo"}, "relation of control 'c': got 'foo'"),
        ({}, "changes nothing"),
        ({"predict": 1.0}, "predict of control 'c': got a float"),
        ({"predict": one, "expected": "CAUGHT"}, "expected verdict of control 'c': got 'CAUGHT'"),
        ({"predict": one, "name": ""}, "name of a control: got ''"),
    ],
)
def test_what_is_no_control(fields: dict[str, Any], words: str) -> None:
    """What is no control is an error."""
    assert words in error_message(Control, **{"name": "c"} | fields)


def test_control_changes() -> None:
    """A control changes what it names and nothing else."""
    claim = made(relation="at most", trivial=one, controls=(Control("c", predict=one),))
    changed = Control("without", trivial=None, relation="at least").applied(claim)
    assert (changed.trivial, changed.relation, changed.controls) == (None, "at least", ())
    assert (changed.measure, changed.label, changed.origin) == (claim.measure, "small", "new")
    assert error_message(Control("over", over_seeds=True).applied, made()).startswith("relation of claim 'small'")


def test_shapes() -> None:
    """Shapes are equal or one is a number."""
    assert compared(np.ones((2, 3)), np.ones((2, 3))) == "HOLDS"
    assert compared(np.ones((2, 3)), 1.0) == compared(1.0, np.ones(4)) == "HOLDS"
    for predicted in (np.ones((3, 1)), np.ones(1), np.ones((1, 3)), np.ones((2, 3))):
        assert "shape" in error_message(compared, np.ones(3), predicted)
    assert "no entries" in error_message(compared, np.ones(0))


@pytest.mark.parametrize(
    ("measured", "words"),
    [
        (np.float32(1), "got float32, expected float64"),
        (np.ones(2, np.float32), "got float32"),
        (jnp.ones(2), "got float32"),
        (np.float16(1), "got float16"),
        (jnp.ones(2, jnp.bfloat16), "got bfloat16"),
        (1 + 0j, "got complex numbers"),
        (np.ma.masked_array([1.0, 2.0], [False, True]), "got a masked array"),
        ("1", "got text"),
        (None, "got objects"),
        (datetime.datetime(2026, 1, 1), "got objects"),
        (np.datetime64("2026-01-01"), "got dates"),
        ([1.0, [2.0]], "got a list"),
        ([Estimate(1.0), 2.0], "got objects"),
    ],
)
def test_lossy_measurements(measured: Any, words: str) -> None:
    """Measurements that lose something are rejected by name."""
    message = error_message(compared, measured)
    assert message.startswith("measurement of 'small'")
    assert words in message
    assert error_message(compared, 1.0, measured).startswith("prediction of 'small'")


@pytest.mark.parametrize("measured", [1, True, np.float64(1), np.int32(1), [1.0, 1.0], np.longdouble(1)])
def test_plain_numbers(measured: Any) -> None:
    """Plain numbers are taken."""
    assert compared(measured) == "HOLDS"


def test_several_estimates() -> None:
    """Several estimates are compared one by one."""
    near, far = Estimate(1.0, 0.1, 9, "unbiased"), Estimate(5.0, 0.1, 9, "unbiased")
    assert compared([near, near]) == "HOLDS"
    assert compared((near, far)) == "FAILS"
    found = check(made(measure=lambda _: [near, far]), case(1.0))
    assert (found.measured, found.stderr) == (5.0, 0.1)
    assert compared([near, near], np.array([1.0, 5.0])) == "FAILS"


@pytest.mark.parametrize(
    ("relation", "direction", "side", "words"),
    [
        ("at most", "lower", 0, "a 'lower' estimate of the measured side"),
        ("at least", "upper", 0, "an 'upper' estimate of the measured side"),
        ("at most", "biased", 0, "a biased estimate"),
        ("equal", "biased", 1, "a biased estimate"),
        ("at least", "biased", 1, "a biased estimate"),
    ],
)
def test_wrong_direction(relation: str, direction: Any, side: int, words: str) -> None:
    """Estimates that cannot decide are errors."""
    sides: list[Any] = [1.0, 1.0]
    sides[side] = Estimate(1.0, 0.1, 9, direction)
    assert words.replace("an 'upper'", "a 'upper'") in error_message(compared, *sides, relation=relation)


@pytest.mark.parametrize(("relation", "direction"), [("at most", "upper"), ("at least", "lower"), ("equal", "upper")])
def test_safe_direction(relation: str, direction: Any) -> None:
    """Estimates from the safe side are taken."""
    value = 2.0 if relation == "at least" else 0.1 if relation == "at most" else 1.0
    assert compared(Estimate(value, 0.01, 9, direction), relation=relation) == "HOLDS"


def test_no_cases() -> None:
    """It was once called OUTSIDE, as if an assumption were broken."""
    found = examine(made(cases=lambda factory: []), CaseFactory("quick", seed=0))
    assert (found.verdict, found.sound) == (Verdict.ERROR, False)
    assert found.evidence[0].note == "the claim has no cases: nothing was examined"
