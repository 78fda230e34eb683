"""Truncation of a matrix to every rank by one singular value decomposition, plainly or in the metric of data."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args, overload

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.ranks import CLEAR, ZERO, unit_of
from icl_theory.core.results import Result
from icl_theory.models.options import Components


@fields_in_help
@dataclass(frozen=True, repr=False)
class Truncation(Result):
    """A matrix at lower rank, and what was kept and dropped.

    Example:
        >>> import numpy as np
        >>> from icl_theory import truncate
        >>> found = truncate(np.diag([3.0, 2.0, 1.0]), 2)
        >>> found.kept, found.dropped
        (array([3., 2.]), array([1.]))
    """

    matrix: np.ndarray
    """The best approximation of rank at most `len(kept)`, same shape as the input."""
    kept: np.ndarray
    """Singular values kept, descending; with a metric those of A W B, see `truncate`. The smallest, where asked for."""
    dropped: np.ndarray
    """Singular values set to zero, descending: the error is the root of the sum of their squares."""
    note: str = ""
    """Why the best approximation is not the only one: two equal singular values, or data that do not decide."""


class Truncations(Sequence[Truncation]):
    """The truncations of one matrix to every rank r = 0, ..., min(m, n), from one singular value decomposition.

    Without a metric W_r = U_r Σ_r V_rᵀ. In the norm ||A (W - X) B||_F (see `truncate`) W_r = W B V_r Σ_r^{-1} U_rᵀ A W
    with U, Σ, V of A W B: then A W_r B is the plain truncation of A W B, no inverse of A or B is needed, and W - W_r
    has the rank of W less r (Wedderburn). Directions beyond the rank of A W B, which the data do not see, are kept by
    the plain truncation of what is left, so that the full rank gives W itself.

    Example:
        >>> import numpy as np
        >>> from icl_theory import Truncations
        >>> ranks = Truncations(np.diag([3.0, 2.0, 1.0]))
        >>> [float(ranks[r].dropped.sum()) for r in range(len(ranks))]
        [6.0, 3.0, 1.0, 0.0]
    """

    def __init__(
        self, matrix: Any, *, inputs: Any = None, outputs: Any = None, components: Components = "largest"
    ) -> None:
        """See `truncate`.

        Args:
            matrix: W, shape (m, n).
            inputs: C, shape (n, n), positive semidefinite; the identity if None.
            outputs: the metric of the other side, shape (m, m), positive semidefinite; the identity if None.
            components: "largest", or "smallest" (without a metric) for the r smallest of the min(m, n) components.

        Raises: ValueError for NaN, a wrong shape, a metric that is not positive semidefinite, or the smallest with one.
        """
        matrix = checks.array("matrix", matrix, (None, None))
        self._smallest = checks.choice("components", components, get_args(Components)) == "smallest"
        if self._smallest and not (inputs is None and outputs is None):
            got, expected = "'smallest' with a metric", "'smallest' without one"
            raise checks.error("components", got, expected, "drop inputs and outputs")
        rows, columns = matrix.shape
        self._prepare(
            matrix,
            None if outputs is None else metric_factor("outputs", outputs, rows).T,
            None if inputs is None else metric_factor("inputs", inputs, columns),
        )

    @classmethod
    def between(cls, matrix: np.ndarray, left: np.ndarray | None, right: np.ndarray | None) -> "Truncations":
        """Those that are best for ||A (W - W_r) B||_F, the factors themselves given; None is the identity."""
        result = cls.__new__(cls)
        result._smallest = False
        result._prepare(matrix, left, right)
        return result

    def _prepare(self, matrix: np.ndarray, left: np.ndarray | None, right: np.ndarray | None) -> None:
        self._matrix, self._left, self._right = matrix, left, right
        seen = matrix if left is None else left @ matrix
        seen = seen if right is None else seen @ right
        self._u, values, self._vt = np.linalg.svd(seen, full_matrices=False)
        side = min(matrix.shape)
        # A metric of more rows than the matrix has columns gives more values than ranks: all of those are zero.
        self._values = np.r_[values, np.zeros(max(0, side - len(values)))][:side]
        sizes = (np.linalg.norm(part, 2) for part in (left, matrix, right) if part is not None)
        size = float(np.prod(list(sizes)))
        self._doubt = CLEAR * ZERO * unit_of("float64") * np.sqrt(max(matrix.shape)) * size
        self._seen = int((values > self._doubt).sum())
        if self._smallest:
            self._u, self._values, self._vt = self._u[:, ::-1], self._values[::-1], self._vt[::-1]

    def __len__(self) -> int:
        return min(self._matrix.shape) + 1

    @overload
    def __getitem__(self, index: int) -> Truncation: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Truncation]: ...
    def __getitem__(self, index: int | slice) -> Truncation | Sequence[Truncation]:
        if isinstance(index, slice):
            return [self[rank] for rank in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"rank {index} of a matrix with ranks 0 to {len(self) - 1}")
        rank = index % len(self)
        kept, dropped = (np.sort(part)[::-1] for part in (self._values[:rank], self._values[rank:]))
        return Truncation(self._cut(rank), kept, dropped, self._note(rank))

    def right_map(self, rank: int) -> np.ndarray:
        """Z, shape (n, n), of rank at most r, with W_r = W Z; the identity for the full rank.

        Args:
            rank: r.
        """
        columns = self._matrix.shape[1]
        if rank == len(self) - 1:
            return np.eye(columns)
        if self._smallest:
            return self._vt[:rank].T @ self._vt[:rank]
        kept = self._projection(min(rank, self._seen))
        if rank <= self._seen:
            return kept
        rest = self._rest[2][: rank - self._seen]
        return kept + (np.eye(columns) - kept) @ rest.T @ rest

    def _cut(self, rank: int) -> np.ndarray:
        if rank == len(self) - 1:
            return self._matrix.copy()
        if self._left is None and self._right is None:
            values = self._values[:rank]
            if self._smallest:  # zeros up to rounding would come back as a matrix of rounding errors
                values = np.where(values > self._doubt, values, 0.0)
            return (self._u[:, :rank] * values) @ self._vt[:rank]
        kept = self._best(min(rank, self._seen))
        if rank <= self._seen:
            return kept
        u, values, vt = self._rest
        more = rank - self._seen
        return kept + (u[:, :more] * values[:more]) @ vt[:more]

    def _best(self, rank: int) -> np.ndarray:
        """W_r for r up to the rank of A W B."""
        u, vt = self._u[:, :rank], self._vt[:rank]
        if self._left is None:  # an orthogonal projection: no small singular value is divided by
            return u @ (u.T @ self._matrix)
        if self._right is None:
            return (self._matrix @ vt.T) @ vt
        return self._matrix @ self._projection(rank)

    def _projection(self, rank: int) -> np.ndarray:
        """B V_r Σ_r^{-1} U_rᵀ A W: a projection, (n, n)."""
        u, vt = self._u[:, :rank], self._vt[:rank]
        if self._right is None:
            return vt.T @ vt
        read = u.T @ (self._matrix if self._left is None else self._left @ self._matrix)
        return self._right @ vt.T @ (read / self._values[:rank, None])

    @cached_property
    def _rest(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The decomposition of what the data do not see: A (W - W_r) B = 0 there."""
        return np.linalg.svd(self._matrix - self._best(self._seen), full_matrices=False)

    def _note(self, rank: int) -> str:
        if rank in (0, len(self) - 1):
            return ""
        last, following = self._values[rank - 1], self._values[rank]
        if self._smallest:
            zeros = following <= self._doubt  # whichever are kept, nothing of the matrix is
        else:
            zeros = rank > self._seen
        if zeros:
            if self._left is None and self._right is None:  # the matrix has no more directions
                return ""
            return f"the data see {self._seen} directions of the matrix; the others are kept by their size in it"
        if abs(last - following) <= self._doubt:
            return f"singular values {rank} and {rank + 1} are equal: another best approximation keeps the other one"
        return ""


def metric_factor(name: str, metric: Any, size: int) -> np.ndarray:
    """B with B Bᵀ = C, shape (size, rank C); an eigenvalue that is zero up to rounding has no column.

    Of C itself: an eigenvalue of 1e-16 would be 1e-8 in a root, which is no rounding any more.

    Raises: ValueError for a matrix that is not positive semidefinite, or another shape.
    """
    values, vectors = np.linalg.eigh(checks.covariance(name, metric, size))
    keep = values > ZERO * CLEAR * unit_of("float64") * np.sqrt(size) * max(values[-1], 0.0)
    return vectors[:, keep] * np.sqrt(values[keep])


def truncate(
    matrix: Any, rank: int, *, inputs: Any = None, outputs: Any = None, components: Components = "largest"
) -> Truncation:
    """W_r = argmin ||A (W - X) B||_F over X of rank r, A = outputs^{1/2}, B = inputs^{1/2}; plain SVD without them.

    With `inputs` = C = E h hᵀ alone that is E |W h - X h|², the error for tokens with that second moment, and
    W_r = U_r U_rᵀ W with U_r the leading eigenvectors of W C Wᵀ. No metric needs an inverse: both may be singular.

    Args:
        matrix: W, shape (m, n).
        rank: r in 0..min(m, n); 0 gives the zero matrix, the full rank W itself.
        inputs: C, positive semidefinite, shape (n, n); the identity if None.
        outputs: positive semidefinite, shape (m, m); the identity if None.
        components: "largest", or, without a metric, "smallest": the r smallest of the min(m, n) singular components
            instead of the best approximation, zeros among them.

    Returns: `Truncation`; its `note` says where the approximation is not unique.
    Raises: ValueError for a rank out of range, NaN, a wrong shape, a metric that is not positive semidefinite, or the
        smallest components in a metric.
    Source: Eckart and Young 1936; Y Section 3.4 (arXiv:2406.03768v2); two metrics without an inverse: new.

    Example:
        >>> import numpy as np
        >>> from icl_theory import truncate
        >>> truncate([[2.0, 0.0], [0.0, 1.0]], 1).matrix
        array([[2., 0.],
               [0., 0.]])
        >>> truncate([[2.0, 0.0], [0.0, 1.0]], 1, inputs=np.diag([1.0, 9.0])).matrix
        array([[0., 0.],
               [0., 1.]])
    """
    matrix = checks.array("matrix", matrix, (None, None))
    rank = checks.integer("rank", rank, 0, min(matrix.shape), "a rank is at most the smaller side")
    return Truncations(matrix, inputs=inputs, outputs=outputs, components=components)[rank]
