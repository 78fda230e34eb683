"""A number that knows how it was obtained, and the one bound that turns information into a gap."""

import dataclasses
import math
import operator
from fractions import Fraction
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from helpers import error_message
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import Estimate
from icl_theory.core.estimate import generalization_bound


def bound(information: Estimate, range_constant: float = 0.5, demonstrations: int = 8) -> Estimate:
    return generalization_bound(information, range_constant=range_constant, demonstrations=demonstrations)


def test_printed_side() -> None:
    """An estimate shows its side."""
    assert str(Estimate(2.0)) == "= 2 nats"
    assert str(Estimate(2.0, 0.1, 10, "unbiased", "loss")) == "≈ 2 ± 0.1 loss"
    assert str(Estimate(2.0, direction="lower")) == "≥ 2 nats"
    assert str(Estimate(math.inf, direction="upper", note="singular")) == "≤ inf nats (singular)"
    assert str(Estimate(2.0, direction="biased", note="KSG")) == "≈ (biased) 2 nats (KSG)"
    assert Estimate(2.0, 0.1).interval(6.0) == pytest.approx((1.4, 2.6))
    assert Estimate(2.0, 0.1).interval() == pytest.approx((1.804, 2.196))


def test_immutable() -> None:
    """An estimate does not change."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(Estimate(1.0), "value", 2.0)  # noqa: B010  (a plain assignment is what type checkers reject)


def test_mean_by_hand() -> None:
    """2, 4, 4, 6: mean 4, sum of squares 8 over 3, over 4 samples."""
    found = Estimate.from_samples([2, 4, 4, 6], unit="loss", note="why")
    assert found == Estimate(4.0, math.sqrt(8 / 3 / 4), 4, "unbiased", "loss", "why")
    assert type(found.value) is type(found.stderr) is float
    assert Estimate.from_samples(np.array([1.0, 3.0]), "upper") == Estimate(2.0, 1.0, 2, "upper")
    assert Estimate.from_samples([True, False]) == Estimate(0.5, 0.5, 2, "unbiased")
    assert Estimate.from_samples(jnp.array([1.0, 3.0])).stderr == 1.0


def test_float32_samples(rng: np.random.Generator) -> None:
    """Float32 samples are added up in double precision."""
    samples = (1e4 + rng.standard_normal(1000)).astype(np.float32)
    exact = [Fraction(float(x)) for x in samples]
    mean = sum(exact) / 1000
    variance = float(sum((x - mean) ** 2 for x in exact) / 999)
    found = Estimate.from_samples(samples)
    assert found.value == pytest.approx(float(mean), rel=1e-14)
    assert found.stderr == pytest.approx(math.sqrt(variance / 1000), rel=1e-10)


def test_standard_error(rng: np.random.Generator) -> None:
    """Of 4000 means of five samples; the mean of squared errors is the variance of the mean, without bias."""
    found = [Estimate.from_samples(row) for row in rng.standard_normal((4000, 5))]
    assert np.mean([one.stderr**2 for one in found]) == pytest.approx(1 / 5, rel=0.06)
    assert np.var([one.value for one in found]) == pytest.approx(1 / 5, rel=0.12)


def test_not_finite_samples() -> None:
    """What is not finite stays visible."""
    infinite = Estimate.from_samples([1.0, math.inf])
    assert infinite.value == math.inf
    assert math.isnan(infinite.stderr)
    assert math.isnan(Estimate.from_samples([1.0, math.nan]).value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "shape (0,)"),
        ([1.0], "shape (1,)"),
        (3.0, "shape ()"),
        (np.ones((4, 2)), "shape (4, 2), expected shape (n,) with n of at least 2"),
        (["1.0", "2.0"], "list of no real numbers"),
        ("12", "str of no real numbers"),
        (None, "NoneType"),
        ([1j, 2.0], "no real numbers"),
        ([[1.0], [1.0, 2.0]], "list of no real numbers"),
        ([Estimate(1.0), Estimate(2.0)], "list of no real numbers"),
    ],
)
def test_what_is_no_sample(values: Any, words: str) -> None:
    """What is no sample of a mean is an error."""
    message = error_message(Estimate.from_samples, values)
    assert message.startswith("samples: got ")
    assert words in message


def test_used_as_a_number() -> None:
    """An estimate is a number where one is needed."""
    found = Estimate(1.23456, 0.01, 100, "unbiased", "loss")
    assert float(found) == 1.23456
    assert math.sqrt(found) == math.sqrt(1.23456)
    assert float(np.asarray(found, dtype=np.float64)) == 1.23456
    assert f"{found:.2f}|{found:8.3f}|{found}" == "1.23|   1.235|≈ 1.235 ± 0.01 loss"
    assert f"{Estimate(math.inf, direction='upper'):.3g}" == "inf"


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("other", [1.0, 1, Estimate(1.0), np.float64(1.0), None], ids=str)
def test_no_order(compare: Any, other: Any) -> None:
    """On either side; equality of all fields, and a comparison of the values, are there."""
    for pair in ((Estimate(2.0, 0.1), other), (other, Estimate(2.0, 0.1))):
        with pytest.raises(TypeError, match=r"error bar.*compare float\(estimate\)"):
            compare(*pair)
    with pytest.raises(TypeError, match="error bar"):
        sorted([Estimate(2.0), Estimate(1.0)])
    assert Estimate(2.0, 0.1) == Estimate(2.0, 0.1)
    assert compare(float(Estimate(2.0)), 1.0) == compare(2.0, 1.0)


@given(st.floats(0.0, 1e6), st.floats(0.01, 100.0), st.integers(1, 10_000))
def test_bound_is_the_formula(information: float, range_constant: float, demonstrations: int) -> None:
    result = bound(Estimate(information), range_constant, demonstrations)
    assert result.value == pytest.approx(range_constant * (2 * information / demonstrations) ** 0.5, rel=1e-12)
    assert (result.stderr, result.direction, result.unit) == (0.0, "upper", "loss")


def test_bound_error() -> None:
    """Standard error by finite differences."""
    information = Estimate(3.0, 0.2, 50, "upper", note="sandwich")
    step = 1e-5
    slope = (bound(Estimate(3.0 + step)).value - bound(Estimate(3.0 - step)).value) / (2 * step)
    result = bound(information)
    assert result.stderr == pytest.approx(slope * 0.2, rel=1e-8)
    assert (result.samples, result.direction, result.note) == (50, "upper", "sandwich")


def test_infinite_information() -> None:
    """Infinite information gives an infinite bound."""
    result = bound(Estimate(math.inf, note="no floor"))
    assert (result.value, result.stderr, result.note) == (math.inf, 0.0, "no floor")


def test_large_range() -> None:
    """R² overflows where the bound itself does not."""
    found = generalization_bound(Estimate(0.5, 0.01, 10), range_constant=1e200, demonstrations=4)
    assert found.value == pytest.approx(5e199)
    assert found.stderr == pytest.approx(5e199 * 0.01)


@pytest.mark.parametrize("direction", ["exact", "unbiased", "upper"])
def test_rounding_below_zero(direction: str) -> None:
    """Rounding below zero is forgiven."""
    estimate = dataclasses.replace(Estimate(-0.01, 0.01, 100), direction=direction)
    assert bound(estimate).value == 0.0


def test_bound_refuses() -> None:
    assert "lower bound" in error_message(bound, Estimate(1.0, direction="lower"))
    assert "biased estimate" in error_message(bound, Estimate(1.0, direction="biased"))
    assert "NaN" in error_message(bound, Estimate(math.nan))
    assert "at least 0" in error_message(bound, Estimate(-1.0, 0.01))
    assert "at least 0" in error_message(bound, Estimate(-1e-9))


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
def test_constants_out_of_range(range_constant: float, demonstrations: int, name: str) -> None:
    """The bound rejects constants out of range."""
    assert name in error_message(bound, Estimate(1.0), range_constant, demonstrations)


def test_error_near_zero() -> None:
    """An estimate clamped at zero without an error bar would claim a bound of exactly 0: it must not."""
    result = bound(Estimate(-0.01, 0.01, 100, "unbiased"))
    assert result.stderr == pytest.approx(0.5 * math.sqrt(2 * 0.01 / 8), rel=1e-12)
