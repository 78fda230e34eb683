"""Ranks of given matrices: decided where the precision of their numbers decides them, refused where it does not."""

from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from icl_theory.core import checks

Precision = Literal["float64", "float32", "float16", "bfloat16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
_UNITS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}

# Rounding n columns of numbers to the unit u moves the singular values by at most u √n / 2 of the largest, and a
# product of truncated factors by a few times that: what is below 2 u √n is zero, what is above 16 times that is not.
ZERO, CLEAR = 2.0, 16.0


class RankRange(NamedTuple):
    """The ranks that the numbers of a matrix allow."""

    least: int
    """Singular values that are clearly not zero."""
    most: int
    """Singular values that are not clearly zero."""
    next_value: float
    """The first singular value that is in doubt, relative to the largest; 0 if none is."""


def unit_of(precision: Precision) -> float:
    """The distance from 1 to the next number of that precision."""
    return _UNITS[precision]


def precision_of(array: Any) -> Precision | None:
    """The precision that an array came in; None for float64, whose numbers may have been rounded before."""
    kinds: dict[str, Precision] = {str(kind): kind for kind in PRECISIONS if kind != "float64"}
    return kinds.get(str(getattr(array, "dtype", "")))


def coarsest(*precisions: Precision | None) -> Precision | None:
    """The least precise of several; None counts as float64."""
    result: Precision | None = None
    for precision in precisions:
        if precision is not None and (result is None or _UNITS[precision] > _UNITS[result]):
            result = precision
    return result


def rank_range(
    matrix: np.ndarray, precision: Precision | None = None, growth: float = 1.0, size: float | None = None
) -> RankRange:
    """Least and greatest rank of a matrix of numbers of that precision.

    With rows and columns scaled to norm one a matrix keeps its rank, but an entry of 1e-20 beside a 1 is no longer
    small: it is a number of its own in this reading and rounding in the other, so the rank is in doubt. Without a
    stated precision numbers in float64 that are all values of float32 could be either, and both must agree.

    Args:
        matrix: shape (m, n), finite.
        precision: of its numbers; None if not stated.
        growth: how many times larger than one rounding the error of the numbers is.
        size: of a computed matrix, the norm of what it was computed from: its rounding is relative to that, and its
            rows and columns cannot be scaled. None for numbers that are given.
    """
    largest = np.abs(matrix).max() if matrix.size else 0.0
    if largest == 0:
        return RankRange(0, 0, 0.0)
    kinds = possible_precisions(matrix, precision if size is None else precision or "float64")
    zeros = [growth * ZERO * _UNITS[kind] * np.sqrt(max(matrix.shape)) for kind in kinds]
    values = np.linalg.svd(matrix / (largest if size is None else size), compute_uv=False)
    if size is None:
        values = values / values[0]
    least, most = int((values > CLEAR * max(zeros)).sum()), int((values > min(zeros)).sum())
    if size is None and most < len(values):
        scaled = np.linalg.svd(equilibrated(matrix / largest), compute_uv=False)
        most = max(most, int((scaled > np.sqrt(max(zeros)) * scaled[0]).sum()))
    return RankRange(least, most, float(values[least]) if least < most else 0.0)


def possible_precisions(matrix: np.ndarray, precision: Precision | None) -> list[Precision]:
    """What the numbers of a matrix may have been rounded to: float32 too where it holds all of them."""
    if precision is not None:
        return [precision]
    with np.errstate(over="ignore", under="ignore"):
        single = np.array_equal(matrix, matrix.astype(np.float32).astype(np.float64))
    whole = np.array_equal(matrix, np.round(matrix))  # small integers are exact in any precision
    return ["float64", "float32"] if single and not whole else ["float64"]


def equilibrated(matrix: np.ndarray) -> np.ndarray:
    """Rows and then columns divided by their norms, twice; zeros stay zeros. Such a scaling keeps the rank."""
    for _ in range(2):
        for axis in (1, 0):
            norms = np.linalg.norm(matrix, axis=axis, keepdims=True)
            matrix = matrix / np.where(norms > 0, norms, 1.0)
    return matrix


def definite_rank(
    name: str,
    matrix: np.ndarray,
    precision: Precision | None = None,
    declared: int | None = None,
    growth: float = 1.0,
    size: float | None = None,
) -> int:
    """The rank of a matrix, or a refusal where its numbers do not say it.

    Args:
        name: of the matrix, for the message.
        matrix: shape (m, n), finite.
        precision: of its numbers, see `rank_range`.
        declared: the rank that is known from elsewhere, None if it is not.
        growth: as in `rank_range`.
        size: as in `rank_range`.

    Raises: ValueError where the rank is in doubt and not declared, or declared against what the numbers say.
    """
    found = rank_range(matrix, precision, growth, size)
    if declared is not None:
        if not found.least <= declared <= found.most:
            expected = f"{found.least}" if found.least == found.most else f"{found.least} to {found.most}"
            hint = "the numbers were changed after they were truncated: truncate them again, or declare no rank"
            raise checks.error(f"rank of {name}", f"{declared} declared", f"{expected} from its numbers", hint)
        return declared
    if found.least < found.most:
        kinds = " or ".join(possible_precisions(matrix, precision))
        got = f"a singular value of {found.next_value:.1e} of the largest in numbers of {kinds}"
        hint = "truncate the matrix, or declare its rank or precision in Model.create(..., ranks=, precision=)"
        raise checks.error(f"rank of {name}", got, "values that are clearly zero or clearly not", hint)
    return found.least
