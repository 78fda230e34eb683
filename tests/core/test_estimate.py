"""A number that knows how it was obtained, and the one bound that turns information into a gap."""

import dataclasses
import math

import pytest
from helpers import refusal
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import Estimate
from icl_theory.core.estimate import generalization_bound


def bound(information: Estimate, range_constant: float = 0.5, demonstrations: int = 8) -> Estimate:
    return generalization_bound(information, range_constant=range_constant, demonstrations=demonstrations)


def test_an_estimate_shows_its_side() -> None:
    assert str(Estimate(2.0)) == "= 2 nats"
    assert str(Estimate(2.0, 0.1, 10, "unbiased", "loss")) == "≈ 2 ± 0.1 loss"
    assert str(Estimate(2.0, direction="lower")) == "≥ 2 nats"
    assert str(Estimate(math.inf, direction="upper", note="singular")) == "≤ inf nats (singular)"
    assert str(Estimate(2.0, direction="biased", note="KSG")) == "≈ (biased) 2 nats (KSG)"
    assert Estimate(2.0, 0.1).interval(6.0) == pytest.approx((1.4, 2.6))
    assert Estimate(2.0, 0.1).interval() == pytest.approx((1.804, 2.196))


def test_an_estimate_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Estimate(1.0), "value", 2.0)  # noqa: B010  (a plain assignment is what type checkers refuse)


@given(st.floats(0.0, 1e6), st.floats(0.01, 100.0), st.integers(1, 10_000))
def test_bound_is_the_formula(information: float, range_constant: float, demonstrations: int) -> None:
    result = bound(Estimate(information), range_constant, demonstrations)
    assert result.value == pytest.approx(range_constant * (2 * information / demonstrations) ** 0.5, rel=1e-12)
    assert (result.stderr, result.direction, result.unit) == (0.0, "upper", "loss")


def test_standard_error_by_finite_differences() -> None:
    information = Estimate(3.0, 0.2, 50, "upper", note="sandwich")
    step = 1e-5
    slope = (bound(Estimate(3.0 + step)).value - bound(Estimate(3.0 - step)).value) / (2 * step)
    result = bound(information)
    assert result.stderr == pytest.approx(slope * 0.2, rel=1e-8)
    assert (result.samples, result.direction, result.note) == (50, "upper", "sandwich")


def test_infinite_information_gives_an_infinite_bound() -> None:
    result = bound(Estimate(math.inf, note="no floor"))
    assert (result.value, result.stderr, result.note) == (math.inf, 0.0, "no floor")


@pytest.mark.parametrize("direction", ["exact", "unbiased", "upper"])
def test_rounding_below_zero_is_forgiven(direction: str) -> None:
    estimate = dataclasses.replace(Estimate(-0.01, 0.01, 100), direction=direction)
    assert bound(estimate).value == 0.0


def test_bound_refuses() -> None:
    assert "lower bound" in refusal(bound, Estimate(1.0, direction="lower"))
    assert "biased estimate" in refusal(bound, Estimate(1.0, direction="biased"))
    assert "NaN" in refusal(bound, Estimate(math.nan))
    assert "at least 0" in refusal(bound, Estimate(-1.0, 0.01))
    assert "at least 0" in refusal(bound, Estimate(-1e-9))


@pytest.mark.parametrize(
    ("range_constant", "demonstrations", "name"),
    [
        (-0.5, 8, "range_constant"),
        (math.nan, 8, "range_constant"),
        (0.5, 0, "demonstrations"),
        (0.5, -8, "demonstrations"),
        (0.5, 8.5, "demonstrations"),
    ],
)
def test_bound_refuses_constants_out_of_range(range_constant: float, demonstrations: int, name: str) -> None:
    assert name in refusal(bound, Estimate(1.0), range_constant, demonstrations)


def test_uncertain_information_near_zero_keeps_an_error_bar() -> None:
    """An estimate clamped at zero without an error bar would claim a bound of exactly 0: it must not."""
    result = bound(Estimate(-0.01, 0.01, 100, "unbiased"))
    assert result.stderr == pytest.approx(0.5 * math.sqrt(2 * 0.01 / 8), rel=1e-12)
