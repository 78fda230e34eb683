"""A number that knows how it was obtained."""

import math
from dataclasses import dataclass
from typing import Literal

from icl_theory import _checks

Direction = Literal["exact", "unbiased", "lower", "upper"]


@dataclass(frozen=True)
class Estimate:
    """A value, its standard error, and which side of the truth it stands on."""

    value: float
    """The number; +inf is a legitimate value of a bound."""
    stderr: float = 0.0
    """Standard error; 0 for an exact value."""
    samples: int = 0
    """Number of independent Monte Carlo samples; 0 for an exact value."""
    direction: Direction = "exact"
    """"exact", "unbiased", or (in expectation) a "lower" or "upper" bound of the quantity named."""
    unit: str = "nats"
    """Unit of the value: "nats", "loss", "squared error", ..."""
    note: str = ""
    """Why the value is what it is, for instance why a bound is infinite."""

    def __str__(self) -> str:
        sign = {"exact": "=", "unbiased": "≈", "lower": "≥", "upper": "≤"}[self.direction]
        error = f" ± {self.stderr:.2g}" if self.stderr > 0 else ""
        return f"{sign} {self.value:.4g}{error} {self.unit}" + (f" ({self.note})" if self.note else "")

    def interval(self, z: float = 1.96) -> tuple[float, float]:
        """value ± z standard errors."""
        return self.value - z * self.stderr, self.value + z * self.stderr


def generalization_bound(information: Estimate, *, range_constant: float, demonstrations: int) -> Estimate:
    """gap ≤ sqrt(2 R² I(W; H_s) / N) for an R-sub-Gaussian loss (Xu and Raginsky 2017; Y Lemma 2).

    Args:
        information: I in nats; a "lower" bound is refused, because the result would not be a bound.
        range_constant: R; a loss in [0, c] is R = c/2 sub-Gaussian (Hoeffding).
        demonstrations: N.

    Returns: an `Estimate` of direction "upper" in units of the loss (delta-method standard error).
    Raises: ValueError for a lower bound or a negative information.
    """
    if information.direction == "lower":
        raise _checks.refuse(
            "information",
            "a lower bound",
            "an exact value or an upper bound",
            "use the upper end of the sandwich",
        )
    if math.isnan(information.value):
        raise _checks.refuse("information", "NaN", "a number of nats", "look at how it was estimated")
    if information.value < 0:
        # A Monte Carlo estimate of a tiny information can come out slightly negative; never hide a large one.
        if information.value < -6 * information.stderr - 1e-12:
            raise _checks.refuse("information", f"{information.value:.3g}", "at least 0", "check the estimator")
        value, slope = 0.0, 0.0
    else:
        value = math.sqrt(2 * range_constant**2 * information.value / demonstrations)
        slope = range_constant**2 / (demonstrations * value) if value > 0 else 0.0
    stderr = slope * information.stderr if math.isfinite(value) else 0.0
    return Estimate(value, stderr, information.samples, "upper", "loss", information.note)
