"""A number that knows how it was obtained."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, Self

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help

Direction = Literal["exact", "unbiased", "lower", "upper", "biased"]


@fields_in_help
@dataclass(frozen=True)
class Estimate:
    """A value, its standard error, and which side of the truth it stands on.

    Example:
        >>> from icl_theory import Estimate
        >>> print(Estimate(0.25, stderr=0.01, samples=400, direction="unbiased", unit="loss"))
        ≈ 0.25 ± 0.01 loss
        >>> float(Estimate.from_samples([1.0, 2.0, 3.0]))
        2.0
    """

    value: float
    """The number; +inf is a legitimate value of a bound."""
    stderr: float = 0.0
    """Standard error; 0 for an exact value."""
    samples: int = 0
    """Number of independent Monte Carlo samples; 0 for an exact value."""
    direction: Direction = "exact"
    """"exact", "unbiased", (in expectation) a "lower" or "upper" bound of the quantity named, or "biased": on
    either side, by an unknown amount, so never part of a bound."""
    unit: str = "nats"
    """Unit of the value: "nats", "loss", "squared error", ..."""
    note: str = ""
    """Why the value is what it is, for instance why a bound is infinite."""

    @classmethod
    def from_samples(cls, values: Any, direction: Direction = "unbiased", unit: str = "nats", note: str = "") -> Self:
        """Mean of n independent samples ± their standard deviation / sqrt(n), the deviation with n - 1 below it.

        Args:
            values: shape (n,). What is not finite among them stays visible in the mean.
            direction: which side of the quantity the mean stands on, as in the field.
            unit: unit of the values.
            note: why the value is what it is.

        Raises: ValueError for fewer than two samples, another shape, or what are no real numbers.
        """
        values = _samples(values)
        with np.errstate(invalid="ignore"):  # the deviation from an infinite mean is NaN
            mean, deviation = float(values.mean()), float(values.std(ddof=1))
        return cls(mean, deviation / math.sqrt(len(values)), len(values), direction, unit, note)

    def __float__(self) -> float:
        return float(self.value)

    def __format__(self, spec: str) -> str:
        return format(float(self), spec) if spec else str(self)

    def _unordered(self, _other: object) -> NoReturn:
        # An order by value alone would pass over the error bar, and a sort by it is a choice of the luckiest.
        raise TypeError(
            "an Estimate has an error bar, so <, <=, > and >= are not defined for it; "
            "compare float(estimate), or the ends of estimate.interval()"
        )

    __lt__ = __le__ = __gt__ = __ge__ = _unordered

    def __str__(self) -> str:
        sign = {"exact": "=", "unbiased": "≈", "lower": "≥", "upper": "≤", "biased": "≈ (biased)"}[self.direction]
        error = f" ± {self.stderr:.2g}" if self.stderr > 0 else ""
        return f"{sign} {self.value:.4g}{error} {self.unit}" + (f" ({self.note})" if self.note else "")

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """value ± z standard errors.

        Args:
            z: half the width of the interval in standard errors.
        """
        return self.value - z * self.stderr, self.value + z * self.stderr


def _samples(values: Any) -> np.ndarray:
    """`values` as float64 samples of a mean."""
    try:
        numbers = np.asarray(values)
    except ValueError:  # a ragged list
        numbers = np.asarray(None)
    if numbers.dtype.kind not in "biuf":
        raise checks.error("samples", f"{type(values).__name__} of no real numbers", "numbers", "pass one per sample")
    if numbers.ndim != 1 or len(numbers) < 2:
        hint = "draw more, or take means until one number is left per independent sample"
        raise checks.error("samples", f"shape {numbers.shape}", "shape (n,) with n of at least 2", hint)
    return np.asarray(numbers, dtype=np.float64)


def generalization_bound(information: Estimate, *, range_constant: float, demonstrations: int) -> Estimate:
    """gap ≤ sqrt(2 R² I(W; H_s) / N) for an R-sub-Gaussian loss (Xu and Raginsky 2017; Y Lemma 2).

    Args:
        information: I in nats; a "lower" bound or a "biased" estimate is an error, as the result would be no bound.
        range_constant: R; a loss in [0, c] is R = c/2 sub-Gaussian (Hoeffding).
        demonstrations: N.

    Returns: an `Estimate` of direction "upper" in units of the loss (delta-method standard error).
    Raises: ValueError for a lower bound, a biased estimate, a negative information, or constants out of range.
    """
    nats, note = bounded_information(information)
    range_constant = checks.number("range_constant", range_constant, low=0.0, hint="pass half the range of the loss")
    demonstrations = checks.integer("demonstrations", demonstrations, 1, None, "pass N, at least 1")
    # R outside the root: its square can overflow where the bound does not.
    root = math.sqrt(2 / demonstrations)
    value = range_constant * root * math.sqrt(nats)
    # Near zero the square root has no slope; one standard error of information is then the honest error bar.
    if not math.isfinite(value) or information.stderr == 0:
        stderr = 0.0
    elif information.value > information.stderr:
        stderr = range_constant * root * information.stderr / (2 * math.sqrt(nats))
    else:
        stderr = range_constant * root * math.sqrt(information.stderr)
    return Estimate(value, stderr, information.samples, "upper", "loss", note)


def bounded_information(information: Estimate) -> tuple[float, str]:
    """The nats that a bound may rest on, at least 0, and the note that goes with it.

    Args:
        information: nats.

    Raises: ValueError for a lower bound, a biased estimate, NaN, or less than 0 by more than its error.
    """
    if information.direction in ("lower", "biased"):
        got = "a lower bound" if information.direction == "lower" else "a biased estimate"
        raise checks.error("information", got, "an exact value or an upper bound", "use the upper end of the sandwich")
    if math.isnan(information.value):
        raise checks.error("information", "NaN", "a number of nats", "check how it was estimated")
    # The estimate of a tiny information can come out below zero; more than its error allows is a mistake. Nats have
    # no unit to choose, so that a number of them is small or not by itself.
    if information.value < -6 * information.stderr - 1e-12:
        raise checks.error("information", f"{information.value:.3g}", "at least 0", "check the estimator")
    note = "the information is zero within its error" if information.value < 0 else information.note
    return max(information.value, 0.0), note
