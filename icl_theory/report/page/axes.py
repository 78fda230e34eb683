"""Axes and numbers of the page's plots: where a value lies between 0 and 1, which ticks to print, how to spell them."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
WIDE_RANGE = 50.0
"""Positive numbers whose largest is this many times the smallest get a logarithmic axis."""


def spelled(value: float, digits: int = 3) -> str:
    """A number as one prints it: −0.25, 3.2×10⁻¹⁶, +∞; "not a number" for NaN."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "+∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if -4 <= exponent < 6:
        return f"{value:.{max(digits - 1 - exponent, 0)}f}".replace("-", "−")
    mantissa, power = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa}×10{str(int(power)).translate(_SUPERSCRIPTS)}".replace("-", "−")


def typeset(text: str) -> str:
    """Numbers in a line of plain text as one prints them: 6e-16 becomes 6×10⁻¹⁶, -0.5 gets a minus sign."""
    text = re.sub(r"(?<=\d)e([+-]\d+)", lambda found: f"×10{str(int(found[1])).translate(_SUPERSCRIPTS)}", text)
    return re.sub(r"(?<![\w-])-(?=\d)", "−", text).replace("+inf", "+∞").replace(" != ", " ≠ ")


@dataclass(frozen=True)
class Axis:
    """An interval and how it is laid out: evenly, by logarithm, or by logarithm on both sides of zero."""

    kind: Literal["linear", "log", "signed"]
    low: float
    high: float

    def place(self, value: float) -> float:
        """0 at the lower end, 1 at the upper; beyond them clipped."""
        low, high, at = (self._laid(x) for x in (self.low, self.high, value))
        return min(max((at - low) / (high - low), 0.0), 1.0)

    def _laid(self, value: float) -> float:
        if self.kind == "linear":
            return value
        if self.kind == "log":
            return math.log10(value) if value > 0 else math.log10(self.low) - 1.0
        return math.copysign(math.log10(1 + abs(value)), value) if math.isfinite(value) else value

    def ticks(self) -> list[tuple[float, str]]:
        """Round values inside, at most about six, with their labels."""
        if self.kind == "linear":
            return _even_ticks(self.low, self.high)
        if self.kind == "log":
            return _decades(self.low, self.high)
        powers = [10.0**k for k in range(1, 7) if 10.0**k <= max(self.high, -self.low)]
        powers = powers[:: max(1, math.ceil(len(powers) / 3))]
        values = [*(-p for p in reversed(powers)), 0.0, *powers]
        return [(v, spelled(v, 1)) for v in values if self.low <= v <= self.high]


def _even_ticks(low: float, high: float) -> list[tuple[float, str]]:
    decade = math.floor(math.log10((high - low) / 4))
    factor = next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * 10.0**decade) <= 5)
    step, decade = factor * 10.0**decade, decade + (factor == 10)
    count = range(math.ceil(low / step), math.floor(high / step) + 1)
    decimals = max(0, -decade)
    if max(abs(low), abs(high)) >= 1e5 or decimals > 5:
        # As many digits as it takes to distinguish the ticks, which their distance decides.
        digits = [1 + math.floor(math.log10(abs(k * step)) + 1e-9) - decade if k else 1 for k in count]
        return [(k * step, spelled(k * step, max(1, d))) for k, d in zip(count, digits, strict=True)]
    return [(k * step, f"{k * step:.{decimals}f}".replace("-", "−")) for k in count]


def _decades(low: float, high: float) -> list[tuple[float, str]]:
    if high < 100 * low:  # less than two decades: powers of ten alone would leave a tick or none
        places = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        values = [factor * 10.0**k for k in places for factor in (1, 2, 5)]
        return [(v, spelled(v, 1)) for v in values if low <= v * (1 + 1e-9) and v <= high * (1 + 1e-9)]
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first) / 5))
    return [(10.0**k, f"10{str(k).translate(_SUPERSCRIPTS)}") for k in range(first, last + 1, step)]


def fitted(values: Iterable[float], *, include: Iterable[float] = ()) -> Axis:
    """An axis that shows all finite values: logarithmic if they are positive and far apart, linear otherwise."""
    finite = [x for x in (*values, *include) if math.isfinite(x)]
    if not finite:
        return Axis("linear", 0.0, 1.0)
    low, high = min(finite), max(finite)
    if low > 0 and high / low >= WIDE_RANGE:
        margin = (high / low) ** 0.06
        return Axis("log", low / margin, high * margin)
    spread = high - low
    if spread <= 1e-9 * max(abs(low), abs(high)):
        spread = abs(high) or 1.0
    return Axis("linear", low - 0.08 * spread, high + 0.08 * spread)


def residual_axis(values: Iterable[float], tolerance: float) -> Axis:
    """A logarithmic axis from below rounding to above the largest residual and the tolerance."""
    positive = [x for x in (*values, tolerance) if x > 0 and math.isfinite(x)] or [1e-16, 1e-11]
    return Axis("log", min(1e-17, min(positive) / 3), 3 * max(positive))


def signed_axis(values: Iterable[float], around: float) -> Axis:
    """Both sides of zero by logarithm, at least up to twice `around`."""
    finite = [x for x in values if math.isfinite(x)]
    low, high = min([*finite, -2 * around]), max([*finite, 2 * around])
    return Axis("signed", 1.3 * low, 1.3 * high)
