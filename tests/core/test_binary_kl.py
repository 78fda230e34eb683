"""The binary relative entropy form of a bound: against mpmath, its limits, and its error bar by finite differences."""

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from helpers import error_message

from icl_theory import Estimate
from icl_theory.core.binary_kl import binary_kl, binary_kl_bound, largest_excess
from icl_theory.core.estimate import generalization_bound

GRID = [(q, nats) for q in (0.0, 1e-9, 0.02, 0.3, 0.5, 0.97, 1.0) for nats in (1e-12, 1e-6, 0.01, 0.7, 5.0, 400.0)]


def kl(q: Any, mu: Any) -> Any:
    """The definition."""
    first = q * mp.log(q / mu) if q > 0 else mp.mpf(0)
    return first + ((1 - q) * mp.log((1 - q) / (1 - mu)) if q < 1 else mp.mpf(0))


@pytest.mark.parametrize(("q", "nats"), GRID)
def test_largest_excess(q: float, nats: float) -> None:
    """The relative entropy at the root is the information, in forty digits."""
    found = largest_excess(q, nats)
    if q == 1:
        assert found == 0
        return
    with mp.workdps(40):
        start, excess = mp.mpf(q), mp.mpf(found)
        assert kl(start, start + excess * (1 - mp.mpf(10) ** -9)) < nats
        beyond = excess + min(excess * mp.mpf(10) ** -9, (1 - start - excess) / 2)
        # Where the root is closer to 1 - q than float64 can say, it is 1 - q, and nothing is beyond.
        assert found == 1 - q or kl(start, start + beyond) > nats


@pytest.mark.parametrize("excess", [1e-12, 1e-7, 1e-3, 0.01, 0.0199, 0.0201, 0.3, 0.69])
def test_binary_kl(excess: float) -> None:
    with mp.workdps(40):
        exact = kl(mp.mpf(0.3), mp.mpf(0.3) + mp.mpf(excess))
    assert binary_kl(0.3, excess) == pytest.approx(float(exact), rel=1e-12)


def test_at_the_ends() -> None:
    assert largest_excess(0.0, 0.5) == pytest.approx(1 - math.exp(-0.5), rel=1e-14)
    assert (binary_kl(0.3, 0.7), binary_kl(0.3, 0.0)) == (math.inf, 0.0)


@pytest.mark.parametrize(("q", "nats"), GRID)
def test_below_square_root(q: float, nats: float) -> None:
    """Never above the form of Xu and Raginsky, nor above what the range leaves."""
    found = binary_kl_bound(Estimate(nats), empirical=Estimate(4 * q), loss_range=4.0, demonstrations=3)
    root = generalization_bound(Estimate(nats), range_constant=2.0, demonstrations=3)
    assert found.value <= min(root.value, 4 * (1 - q)) * (1 + 1e-12)
    assert (found.direction, found.stderr) == ("upper", 0.0)
    # For small informations and q = 1/2 the two agree: the constant is right.
    if q == 0.5 and nats <= 1e-6:
        assert found.value == pytest.approx(root.value, rel=1e-5)


@pytest.mark.parametrize(("nats", "loss"), [(0.5, 1.0), (2.0, 0.4), (0.01, 3.0)])
def test_error_bar(nats: float, loss: float) -> None:
    """The delta method: both errors join in squares, each with the slope of a central difference."""

    def value(information: float, empirical: float) -> float:
        estimate = binary_kl_bound(
            Estimate(information), empirical=Estimate(empirical), loss_range=4.0, demonstrations=5
        )
        return estimate.value

    step = 1e-5
    by_nats = (value(nats + step, loss) - value(nats - step, loss)) / (2 * step)
    by_loss = (value(nats, loss + step) - value(nats, loss - step)) / (2 * step)
    found = binary_kl_bound(
        Estimate(nats, 1e-3, 10, "upper"), empirical=Estimate(loss, 2e-3, 20), loss_range=4.0, demonstrations=5
    )
    assert found.stderr == pytest.approx(math.hypot(1e-3 * by_nats, 2e-3 * by_loss), rel=1e-6)
    assert found.samples == 20


def test_error_bar_near_the_ends() -> None:
    """Where there is no slope the error bar is the distance to the bound a standard error away."""
    zero = binary_kl_bound(Estimate(0.0, 0.01, 9), empirical=Estimate(1.0), loss_range=4.0, demonstrations=2)
    assert zero.value == 0
    assert zero.stderr == pytest.approx(4 * largest_excess(0.25, 0.005))
    low = binary_kl_bound(Estimate(0.5), empirical=Estimate(0.0, 0.04, 9), loss_range=4.0, demonstrations=1)
    assert 0 < low.stderr < 0.2


def test_infinite_information() -> None:
    found = binary_kl_bound(Estimate(math.inf, note="why"), empirical=Estimate(1.0), loss_range=4.0, demonstrations=2)
    assert (found.value, found.note) == (math.inf, "why")


def test_errors() -> None:
    options = {"empirical": Estimate(0.5), "loss_range": 1.0, "demonstrations": 1}
    assert "information" in error_message(binary_kl_bound, Estimate(1.0, direction="lower"), **options)
    assert "empirical" in error_message(binary_kl_bound, Estimate(1.0), **(options | {"empirical": Estimate(2.0)}))
    assert "loss_range" in error_message(binary_kl_bound, Estimate(1.0), **(options | {"loss_range": 0.0}))


def test_rounding_of_the_mean() -> None:
    """A mean of losses that are all c may be above c by rounding, and by no more than that."""
    options: dict[str, Any] = {"loss_range": 0.161203, "demonstrations": 9}
    largest = np.nextafter(0.161203, 1.0)
    assert binary_kl_bound(Estimate(1.0), empirical=Estimate(float(largest)), **options).value == 0.0
    assert "range" in error_message(binary_kl_bound, Estimate(1.0), empirical=Estimate(0.1613), **options)
