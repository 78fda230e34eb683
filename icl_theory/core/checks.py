"""The only place that words an error of input: every message says what was got, what was expected, and a hint."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

S = TypeVar("S", bound=str)


class InvalidInputError(ValueError):
    """Bad input, in the one form that `error` gives; on the command line its type distinguishes it from a bug."""


def error(name: str, got: object, expected: str, hint: str) -> InvalidInputError:
    """The one form of an error of input, so that every message reads alike."""
    return InvalidInputError(f"{name}: got {got}, expected {expected}; {hint}.")


def _describe(shape: Sequence[int | None]) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"


def numbers(name: str, value: Any) -> np.ndarray:
    """`value` as a float64 array of any shape, finite or not; whatever would lose something on the way is an error.

    A masked array would lose its mask, a complex number its imaginary part; a date, text or an object is no number.
    float32 is an error by name: in an exact comparison its rounding would decide.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise error(name, "a masked array", "plain numbers", "fill the masked entries, or leave them out")
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError):
        raise error(name, f"a {type(value).__name__}", "numbers", "return a number or a full array") from None
    if raw.dtype == np.float32 or raw.dtype == np.float16 or str(raw.dtype) == "bfloat16":
        raise error(name, str(raw.dtype), "float64", "compute in double precision, as the functions here do")
    if raw.dtype.kind not in "biuf":
        raise error(name, f"{_kind(raw)}", "real numbers", "return numbers in float64")
    return raw.astype(np.float64)


def _kind(raw: np.ndarray) -> str:
    words = {"c": "complex numbers", "M": "dates", "m": "durations", "U": "text", "S": "text", "O": "objects"}
    return words.get(raw.dtype.kind, str(raw.dtype))


def array(name: str, value: Any, shape: Sequence[int | None], hint: str = "reshape it") -> np.ndarray:
    """`value` as a finite float64 array of `shape`, where None stands for any size of at least one.

    Masked arrays, complex numbers, dates and text are errors: as float64 they would lose what they say.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise error(name, "a masked array", "plain numbers", "fill the masked entries, or leave them out")
    try:
        raw = np.asarray(value)
    except (TypeError, ValueError):
        raise error(name, type(value).__name__, "an array of real numbers", "pass numbers") from None
    if raw.dtype.kind not in "biuf" and str(raw.dtype) != "bfloat16":
        got = type(value).__name__ if raw.dtype.kind == "O" else _kind(raw)
        raise error(name, got, "an array of real numbers", "pass numbers")
    result = raw.astype(np.float64)
    fits = result.ndim == len(shape) and all(
        got >= 1 if size is None else got == size for got, size in zip(result.shape, shape, strict=True)
    )
    if not fits:
        raise error(name, f"shape {result.shape}", f"shape {_describe(shape)}", hint)
    if not np.isfinite(result).all():
        bad = int((~np.isfinite(result)).sum())
        raise error(name, f"{bad} entries that are NaN or infinite", "finite numbers", "clean the input first")
    return result


def integer(name: str, value: Any, low: int, high: int | None, hint: str) -> int:
    """`value` as an int within [low, high]."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < low or (high is not None and value > high):
        limit = f"a whole number of at least {low}" if high is None else f"a whole number from {low} to {high}"
        raise error(name, repr(value), limit, hint)
    return int(value)


def number(name: str, value: Any, *, low: float, strict: bool = False, hint: str) -> float:
    """`value` as a finite float that is at least `low` (above it if `strict`)."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not np.isfinite(value) or value < low or (strict and value == low):
        raise error(name, repr(value), f"a finite number {'above' if strict else 'of at least'} {low:g}", hint)
    return float(value)


def choice(name: str, value: Any, options: Sequence[S]) -> S:
    """`value` if it is one of `options`."""
    if value not in options:
        raise error(name, repr(value), "one of " + ", ".join(options), "choose one of these")
    return value


def covariance(name: str, value: Any, dimension: int) -> np.ndarray:
    """`value` as a symmetric positive semidefinite matrix; None means the identity."""
    if value is None:
        return np.eye(dimension)
    matrix = array(name, value, (dimension, dimension), f"pass a {dimension} x {dimension} covariance")
    scale = np.abs(matrix).max()
    if np.abs(matrix - matrix.T).max() > 1e-12 * scale:
        raise error(name, "a matrix that is not symmetric", "a covariance", "pass (C + C.T) / 2")
    smallest = np.linalg.eigvalsh(matrix)[0]
    if smallest < -1e-12 * scale:
        raise error(
            name,
            f"smallest eigenvalue {smallest:.3g}",
            "a positive semidefinite matrix",
            "drop that direction",
        )
    return (matrix + matrix.T) / 2
