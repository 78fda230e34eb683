"""What a model remembers about the ranks of its matrices: plain tuples, since they are static fields of a pytree."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.ranks import Precision, precision_of, rank_range

Ranks = tuple[tuple[str, tuple[int | None, ...]], ...]
"""By name of a matrix, the rank in every layer (and head, heads of a layer side by side); None where not known."""


def noted(ranks: Any, shapes: Mapping[str, tuple[int, ...]]) -> Ranks:
    """Ranks as a caller gives them, a number for every layer or (layers, heads), in the form a model keeps.

    Args:
        ranks: a mapping by name of a matrix, or what this function returned.
        shapes: of the matrices by name, without seeds.

    Raises: ValueError for another name, another number of ranks, or a rank that the shape does not allow.
    """
    result = []
    for name, values in dict(ranks or {}).items():
        if name not in shapes:
            expected = "one of " + ", ".join(shapes)
            raise checks.error("ranks", f"a rank of {name!r}", expected, "name the matrices that the model has")
        leading, side = shapes[name][:-2], min(shapes[name][-2:])
        given = np.array(values, dtype=object).ravel().tolist()
        if len(given) != int(np.prod(leading)):
            got, expected = f"{len(given)} ranks", f"{int(np.prod(leading))}, one for each layer and head"
            raise checks.error(f"ranks of {name}", got, expected, "use None where a rank is not known")
        hint = "a rank is at most the smaller side, or None where it is not known"
        kept = (None if r is None else checks.integer(f"ranks of {name}", r, 0, side, hint) for r in given)
        result.append((name, tuple(kept)))
    return tuple(pair for pair in result if any(rank is not None for rank in pair[1]))


def rank_notes(ranks: Ranks, name: str, count: int) -> list[int | None]:
    """The ranks of one matrix in every layer and head, None where not known."""
    return list(dict(ranks).get(name, (None,) * count))


def kept(ranks: Ranks, layers: int, count: int) -> Ranks:
    """Those of the first `count` of `layers` layers."""
    return tuple((name, values[: len(values) // layers * count]) for name, values in ranks)


def without(ranks: Ranks, names: Any) -> Ranks:
    """Those of the other matrices."""
    return tuple((name, values) for name, values in ranks if name not in names)


def changed(ranks: Ranks, name: str, values: list[int | None]) -> Ranks:
    """With what is known of one matrix replaced, in every layer and head."""
    rest = without(ranks, (name,))
    return (*rest, (name, tuple(values))) if any(rank is not None for rank in values) else rest


def full_ranks(matrices: Mapping[str, np.ndarray]) -> Ranks:
    """Full rank, for every matrix of an ensemble whose numbers allow it in every member.

    For weights that were made in the precision they are in, by training say: then a small singular value is a small
    singular value, where in weights from elsewhere it could be the rounding of a zero.

    Args:
        matrices: by name, shape (seeds, layers, [heads,] m, n).
    """
    notes = []
    for name, stack in matrices.items():
        side, members = min(stack.shape[-2:]), stack.reshape(len(stack), -1, *stack.shape[-2:])
        found = [
            side if all(np.isfinite(m).all() and rank_range(m, precision_of(m)).most == side for m in place) else None
            for place in members.swapaxes(0, 1)
        ]
        notes.append((name, tuple(found)))
    return tuple(pair for pair in notes if any(rank is not None for rank in pair[1]))


def rank_of_smallest(matrix: np.ndarray, known: int | None, rank: int, precision: Precision | None) -> int | None:
    """The rank of what keeps the `rank` smallest of all singular components; None where only its numbers can say it."""
    if known is None:
        found = rank_range(matrix, precision)
        known = found.least if found.least == found.most else None
    return None if known is None else max(0, known - (min(matrix.shape) - rank))


def rank_after(matrix: np.ndarray, known: int | None, rank: int, precision: Precision | None) -> int | None:
    """The rank of a matrix after truncation to `rank`; None where only its numbers can say it."""
    if known is not None:
        return min(known, rank)
    found = rank_range(matrix, precision)
    return rank if rank <= found.least else found.least if found.least == found.most else None
