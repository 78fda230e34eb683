"""What every error bar is held to: the formula on independently recomputed draws, its labels, and its coverage."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from influences import error_of_mean
from scipy.stats import binomtest, t

EXACT = 1e-9
"""Relative; a sum of a hundred squares in double precision is right to far better than that."""


def assert_error(found: Any, values: Any, direction: str, unit: str, relative: float = EXACT) -> None:
    """`found` has the standard error of a mean of these independent values, and says how many they are."""
    assert found.stderr > 0
    assert abs(found.stderr - error_of_mean(values)) <= relative * found.stderr
    assert (found.samples, found.direction, found.unit) == (len(values), direction, unit)


def assert_mean_of(found: Any, values: Any, direction: str, unit: str, relative: float = EXACT) -> None:
    """`found` is the mean of these independent values, with its standard error, direction, unit and count."""
    values = np.asarray(values)
    mean = math.fsum(values) / len(values)
    assert abs(found.value - mean) <= relative * max(abs(mean), float(np.abs(values).max()))
    assert_error(found, values, direction, unit, relative)


def assert_covers(estimates: Sequence[Any], truth: float | None = None) -> None:
    """One standard error around the value holds the truth (the mean of all if None) as often as Student's law says.

    That is in 68.3 % of the repetitions for many samples. Rejected at a chance of 1e-4. The count must also reject
    error bars a factor of sqrt 2 off, or it would see nothing.
    """
    values, errors = (np.array([getattr(e, name) for e in estimates]) for name in ("value", "stderr"))
    share = float(2 * t.cdf(1.0, estimates[0].samples - 1) - 1)
    off = np.abs(values - (values.mean() if truth is None else truth))

    def chance(factor: float) -> float:
        return float(binomtest(int((off < factor * errors).sum()), len(off), share).pvalue)

    assert chance(1.0) > 1e-4, np.mean(off < errors)
    assert max(chance(math.sqrt(0.5)), chance(math.sqrt(2.0))) < 1e-4
