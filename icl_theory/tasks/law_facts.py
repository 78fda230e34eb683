"""What the package requires of a law before it uses it, and the errors and notes where it is not met."""

import math
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.tasks.laws import Gaussian, Law, Mixture, StudentT, Uniform

_WORDS = {"gaussian": "Gaussian()", "uniform": "Uniform()", "student-t": "StudentT(5)"}
_DRAWS = 4096
"""Draws by which the mean and variance of a user's law are checked."""


def checked_law(name: str, value: Any) -> Law:
    """`value`, if it is a law that draws arrays of a given shape, of mean ≈ 0, variance ≈ 1. Raises: ValueError."""
    if isinstance(value, type) or not isinstance(value, Law):
        word = _WORDS.get(value, "Gaussian()") if isinstance(value, str) else "Gaussian()"
        got = f"the class {value.__name__}" if isinstance(value, type) else repr(value)
        raise checks.error(name, got, "a law, that is an object with sample(rng, shape)", f"pass icl_theory.{word}")
    if type(value) not in (Gaussian, Uniform, StudentT, Mixture):
        _require_sound(name, value)
    return value


def _require_sound(name: str, law: Law) -> None:
    """Raise an error for what a few draws and the number E u⁴ show to be no law of mean 0 and variance 1."""
    hint = "sample(rng, shape) returns an array of independent draws of mean 0 and variance 1"
    try:
        drawn = law.sample(np.random.default_rng(0), (2, _DRAWS))
    except TypeError as error:  # another signature
        raise checks.error(name, str(error), "a law, that is an object with sample(rng, shape)", hint) from None
    draws = checks.array(f"a draw of {name}", drawn, (2, _DRAWS), hint)
    fourth = fourth_moment(law)
    if fourth is not None:
        real = isinstance(fourth, int | float) and not isinstance(fourth, bool)
        if not real or not fourth >= 1:
            raise checks.error(f"{name}.fourth_moment", repr(fourth), "E u⁴ ≥ (E u²)² = 1", "or None if unknown")
    if fourth is None or math.isinf(fourth):
        return  # heavy tails: the mean of a few squares can be far below 1
    mean, square, size = draws.mean(), (draws**2).mean(), math.sqrt(draws.size)
    if abs(mean) > 10 / size or abs(square - 1) > 10 * math.sqrt(fourth - 1) / size + 1e-9:
        got = f"draws of mean {mean:.3g} and mean square {square:.3g}"
        raise checks.error(name, got, "mean 0, variance 1", "shift and scale it, or mend fourth_moment")


def tail_note(law: Law, order: int) -> str:
    """Why a standard error is no guide where the variance needs E |u|^order; empty if that is known to be finite."""
    below, fourth = getattr(law, "finite_moments", None), fourth_moment(law)
    if below is not None:
        short = f"{law!r} has moments below order {below:g} only, the variance here needs order {order}"
        mean = "" if below > order / 2 else ", and the mean itself may be infinite"
        return "" if below > order else f"{short}: the standard error is no guide{mean}"
    if fourth is not None and math.isfinite(fourth):
        return ""
    return f"E u⁴ of {law!r} is {'not known' if fourth is None else 'infinite'}: the standard error may be no guide"


def density_note(law: Law) -> str:
    """Why few draws may repeat with positive probability; empty for a law that is known to have a density."""
    return "" if getattr(law, "continuous", False) else f"{law!r} is not known to have a density"


def fourth_moment(law: Law) -> float | None:
    """E u⁴, +inf where it does not exist, None where the law does not say."""
    return getattr(law, "fourth_moment", None)


def known_fourth_moment(law: Law, name: str, what: str) -> float:
    """E u⁴ as a finite number. Raises: ValueError that says why `what` has no closed form."""
    found = fourth_moment(law)
    if found is None or math.isinf(found):
        got = f"{law!r}, whose E u⁴ is {'not known' if found is None else 'infinite'}"
        hint = "use a law with a finite fourth_moment, or sample whole prompts"
        raise checks.error(f"{name} for {what}", got, "a law with a known and finite E u⁴", hint)
    return float(found)
