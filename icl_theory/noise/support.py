"""The space V = {A X B : X symmetric} in which implicit gradients and their noise live, and coordinates on it.

Per-demonstration gradients are A h hᵀ B with A = W_V M and B = Mᵀ W_Kᵀ W_Q M. The generalised singular value
decomposition of the pair, A = U_A diag(c) Y and Bᵀ = U_B diag(s) Y, gives A X B = U_A [c_i X̃_ij s_j] U_Bᵀ with
X̃ = Y X Yᵀ symmetric, so that ||A X B||_F² = Σ_ij c_i² s_j² X̃_ij²: the entries X̃_ij, i ≤ j, suitably scaled, are
*orthonormal* coordinates of V, and V's dimension is the number of pairs whose scale is not zero.
Nothing of size D² x D² is made. All of it is new, that is, not in Y.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import EPS, transpose
from icl_theory.core.ranks import Precision, coarsest, definite_rank, precision_of
from icl_theory.core.symmetric import symmetric_pairs


class FactorRanks(NamedTuple):
    """Ranks that decide which coordinates exist."""

    left: int
    """rank A."""
    right: int
    """rank B."""
    joint: int
    """rank of [A; Bᵀ]."""

    @property
    def overlap(self) -> int:
        """k = dim(row space of A ∩ column space of B)."""
        return self.left + self.right - self.joint

    @property
    def dimension(self) -> int:
        """d_S = rank(A) rank(B) - k(k-1)/2."""
        return self.left * self.right - self.overlap * (self.overlap - 1) // 2


def _normalised(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, ...]:
    """A / |A|, B / |B| and the two norms."""
    parts, sizes = [], []
    for matrix in (left, right):
        largest = np.abs(matrix).max(axis=(-2, -1), keepdims=True)  # first, so that no square over- or underflows
        largest = np.where(largest > 0, largest, 1.0)
        norm = largest * np.linalg.norm(matrix / largest, axis=(-2, -1), keepdims=True)
        sizes.append(np.where(norm > 0, norm, 1.0))
        parts.append(matrix / sizes[-1])
    return parts[0], parts[1], sizes[0], sizes[1]


def relative_errors(values: np.ndarray) -> np.ndarray:
    """Σ EPS max(s)/s over singular values s (..., n), shape (...); +inf where one is zero or not a number."""
    if values.shape[-1] == 0:
        return np.zeros(values.shape[:-1])
    with np.errstate(all="ignore"):
        total = EPS * (values.max(-1, keepdims=True) / values).sum(-1)
    return np.where(np.isfinite(total), total, np.inf)


class Space(NamedTuple):
    """A subspace, and how far rounding may have turned it."""

    basis: np.ndarray
    """Orthonormal, shape (D, r)."""
    growth: float
    """Its error in units of the precision of what it comes from, at least 1."""

    @classmethod
    def of(cls, name: str, matrix: np.ndarray, precision: Precision | None = None) -> "Space":
        """The row space of a matrix. Raises: ValueError where its rank is in doubt."""
        rank = definite_rank(name, matrix, precision)
        _, values, vt = np.linalg.svd(matrix / (np.abs(matrix).max() or 1.0), full_matrices=False)
        return cls(vt[:rank].T, float(values[0] / values[rank - 1]) if rank else 1.0)


def joint_ranks(
    name: str,
    rows: Space,
    columns: Space,
    reached: np.ndarray,
    precision: Precision | None = None,
    growth: float = 0.0,
) -> FactorRanks:
    """Ranks of A T, Tᵀ B and [A T; BᵀT] from the row space of A, the column space of B and orthonormal T (D, q).

    `growth` is the error of T in units of rounding, where it was estimated.
    """
    left, right = rows.basis.shape[1], columns.basis.shape[1]
    if reached.shape[1] == len(reached) and len(reached) in (left, right):
        return FactorRanks(left, right, len(reached))
    both = np.concatenate([rows.basis, columns.basis], axis=1)
    options: Any = {"precision": precision, "growth": rows.growth + columns.growth + growth, "size": 1.0}
    parts = (rows.basis, columns.basis, both)
    return FactorRanks(*(definite_rank(name, part.T @ reached, **options) for part in parts))


def factor_ranks(
    left: np.ndarray, right: np.ndarray, basis: np.ndarray | None = None, precision: Precision | None = None
) -> FactorRanks:
    """Ranks of A T, of Tᵀ B and of the stacked pair for orthonormal T (D, q), the identity if not given.

    Raises: ValueError where a rank is in doubt.
    """
    rows, columns = Space.of("left", left, precision), Space.of("right", right.T, precision)
    reached = np.eye(left.shape[1]) if basis is None else basis
    return joint_ranks("left and right on the tokens", rows, columns, reached, precision)


def _resolve_sines(bottom: np.ndarray, rotation_t: np.ndarray, cosines: np.ndarray, joint: int) -> np.ndarray:
    """The rotation of the cosines, turned among those near 1 so that the sines come out one by one too.

    A sine of 1e-10 changes its cosine by 1e-20: the cosines alone cannot tell it from one of 1e-9. Where a cosine is
    above 1/√2 the sines decide; the markers keep the other directions where they are.
    """
    index = np.arange(rotation_t.shape[-1])
    near = (cosines > np.sqrt(0.5)) & (index < joint)
    parts = np.where(near[..., None, :], bottom @ transpose(rotation_t), 0.0)
    markers = np.where(near, 0.0, 2.0 + index)[..., None, :] * np.eye(len(index))
    turn = np.linalg.svd(np.concatenate([parts, markers], axis=-2), full_matrices=False)[2]
    return turn[..., ::-1, :] @ rotation_t  # ascending sines, then the markers in their order


@dataclass(frozen=True)
class Support:
    """Orthonormal coordinates of V for one pair (A, B), or for a stack of pairs with the same ranks."""

    ranks: FactorRanks
    """Decide the dimension; the same for every pair of a stack."""
    transform: np.ndarray
    """Y, shape (..., q, q): X̃ = Y X Yᵀ."""
    stretch: np.ndarray
    """Singular values of Y, shape (..., q)."""
    cosines: np.ndarray
    """c, shape (..., q), scaled by |A|; exact zeros where A has no part."""
    sines: np.ndarray
    """s, shape (..., q), scaled by |B|; exact zeros where B has no part."""
    left_basis: np.ndarray
    """U_A, shape (..., D, q)."""
    right_basis: np.ndarray
    """U_B, shape (..., D, q)."""

    @classmethod
    def of(cls, left: np.ndarray, right: np.ndarray, ranks: FactorRanks | None = None) -> "Support":
        """The generalised SVD of A (..., D, q) and B (..., q, D).

        `ranks` are those of the pair; if they are not given it must be a single pair whose numbers say them.
        """
        ranks = factor_ranks(left, right) if ranks is None else ranks
        left, right, size_left, size_right = _normalised(left, right)
        dimension, width = left.shape[-2:]
        stacked = np.concatenate([left, transpose(right)], axis=-2)
        u, values, vt = np.linalg.svd(stacked, full_matrices=False)
        joint = ranks.joint
        # The columns beyond the joint rank carry nothing; the value 2 sorts them apart from true zero cosines.
        top = u[..., :dimension, :].copy()
        top[..., joint:] = 0.0
        marker = np.broadcast_to(np.diag(np.r_[np.zeros(joint), np.full(width - joint, 2.0)]), (*vt.shape,))
        _, cosines, rotation_t = np.linalg.svd(np.concatenate([top, marker], axis=-2), full_matrices=False)
        order = np.roll(np.arange(width), -(width - joint))
        rotation_t, cosines = rotation_t[..., order, :], cosines[..., order]
        values = np.where(np.arange(width) < joint, values, 0.0)
        rotation_t = _resolve_sines(u[..., dimension:, :], rotation_t, cosines, joint)
        cosines = np.linalg.norm(top @ transpose(rotation_t), axis=-2)
        transform = rotation_t @ (values[..., None] * vt)
        bottom = u[..., dimension:, :] @ transpose(rotation_t)
        sines = np.linalg.norm(bottom, axis=-2)
        has_cosine = np.arange(width) < ranks.left
        has_sine = (np.arange(width) >= joint - ranks.right) & (np.arange(width) < joint)
        cosines, sines = np.where(has_cosine, cosines, 0.0), np.where(has_sine, sines, 0.0)
        left_basis = top @ transpose(rotation_t) / np.where(cosines > 0, cosines, np.inf)[..., None, :]
        right_basis = bottom / np.where(sines > 0, sines, np.inf)[..., None, :]
        return cls(
            ranks, transform, values, cosines * size_left[..., 0], sines * size_right[..., 0], left_basis, right_basis
        )

    @property
    def dimension(self) -> int:
        """d_S."""
        return self.ranks.dimension

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Index pairs i ≤ j that are coordinates of V; they depend on the ranks only."""
        width, joint = self.transform.shape[-1], self.ranks.joint
        cosine = np.arange(width) < self.ranks.left
        sine = (np.arange(width) >= joint - self.ranks.right) & (np.arange(width) < joint)
        rows, columns = np.triu_indices(width)
        kept = (cosine[rows] & sine[columns]) | (cosine[columns] & sine[rows])
        return rows[kept], columns[kept]

    @cached_property
    def scales(self) -> np.ndarray:
        """Coordinate of the pair (i, j) per unit of X̃_ij: sqrt(c_i² s_j² + c_j² s_i²), or c_i s_i; (..., d_S)."""
        i, j = self.pairs
        with np.errstate(over="ignore"):  # +inf then; the ladder looks whether a size is finite
            product, mirrored = self.cosines[..., i] * self.sines[..., j], self.cosines[..., j] * self.sines[..., i]
        return np.where(i == j, product, np.hypot(product, mirrored))

    @property
    def log_volume(self) -> np.ndarray | None:
        """log |det P| of `matrix`, shape (...), or None where P is not square.

        From det P = Π (scale / weight) · (det Y)^{q+1}, so no digits are lost however ill-conditioned A and B are.
        """
        width = self.transform.shape[-1]
        if self.dimension < width * (width + 1) // 2:
            return None
        weight = symmetric_pairs(width)[2]
        return np.log(self.scales / weight).sum(-1) + (width + 1) * np.log(self.stretch).sum(-1)

    @property
    def doubt(self) -> np.ndarray:
        """Σ of the relative errors that rounding leaves in its scales, shape (...); +inf if one is lost."""
        ranks = self.ranks
        cosines = self.cosines[..., : ranks.left]
        sines = self.sines[..., ranks.joint - ranks.right : ranks.joint]
        return np.add(relative_errors(cosines), relative_errors(sines)) + relative_errors(
            self.stretch[..., : ranks.joint]
        )

    def coordinates(self, tokens: np.ndarray) -> np.ndarray:
        """Coordinates of A h hᵀ B for every token (..., N, q), shape (..., N, d_S)."""
        i, j = self.pairs
        y = tokens @ transpose(self.transform)
        return y[..., i] * y[..., j] * self.scales[..., None, :]

    def matrix(self) -> np.ndarray:
        """P with z = P svec(X), the map from symmetric coordinates to those of V; (..., d_S, q(q+1)/2)."""
        i, j = self.pairs
        k, m, weight = symmetric_pairs(self.transform.shape[-1])
        y = self.transform
        product = y[..., i[:, None], k] * y[..., j[:, None], m] + y[..., i[:, None], m] * y[..., j[:, None], k]
        return self.scales[..., None] * product * (weight / 2)

    def _directions(self) -> tuple[np.ndarray, np.ndarray]:
        """Coefficients of E_ij = (p e_i e_jᵀ + m e_j e_iᵀ) in the bases U_A, U_B, orthonormal over the pairs."""
        i, j = self.pairs
        product, mirrored = (
            self.cosines[..., i] * self.sines[..., j],
            self.cosines[..., j] * self.sines[..., i],
        )
        return product / self.scales, np.where(i == j, 0.0, mirrored / self.scales)

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Coordinates of the orthogonal projection of a D x D matrix onto V, shape (..., d_S)."""
        i, j = self.pairs
        inner = transpose(self.left_basis) @ matrix @ self.right_basis
        direct, mirrored = self._directions()
        return direct * inner[..., i, j] + mirrored * inner[..., j, i]

    def embed(self, coordinates: np.ndarray) -> np.ndarray:
        """The D x D matrix with these coordinates, the inverse of `project` on V."""
        i, j = self.pairs
        direct, mirrored = self._directions()
        inner = np.zeros((*coordinates.shape[:-1], *self.transform.shape[-2:]))
        # i == j occurs once with mirrored = 0, so adding in two steps never overwrites.
        inner[..., i, j] += direct * coordinates
        inner[..., j, i] += mirrored * coordinates
        return self.left_basis @ inner @ transpose(self.right_basis)


def support_dimension(left: Any, right: Any, tokens: Any = None) -> int:
    """d_S = dim {A X B : X symmetric} = rank(A) rank(B) - k(k-1)/2, k = dim(row space of A ∩ column space of B).

    Full rank gives D(D+1)/2; A of rank r and B invertible give rD - r(r-1)/2.

    Args:
        left: A = W_V M, shape (D, D).
        right: B = Mᵀ W_Kᵀ W_Q M, shape (D, D).
        tokens: demonstrations (N, D); if they span only a subspace T, A and B are restricted to it.

    Returns: d_S as an int.
    Raises: ValueError for wrong shapes or NaN, or where a rank is in doubt: singular values neither clearly zero nor
        clearly not for the precision of the numbers.
    Source: new; replaces the hypothesis C_t ≻ 0 of Y Theorem 2 (arXiv:2406.03768v2).

    Example:
        >>> import numpy as np
        >>> from icl_theory import support_dimension, truncate
        >>> left, right = np.random.default_rng(0).standard_normal((2, 4, 4))
        >>> support_dimension(left, right), support_dimension(truncate(left, 1).matrix, right)
        (10, 4)
    """
    given = left, right
    left = checks.array("left", left, (None, None))
    right = checks.array("right", right, (left.shape[1], None), "pass A (D, D) and B (D, D)")
    precision = coarsest(precision_of(given[0]), precision_of(given[1]))
    if tokens is not None:
        spanned = checks.array("tokens", tokens, (None, left.shape[1]))
        size = definite_rank("tokens", spanned, precision_of(tokens))
        basis = np.linalg.svd(spanned, full_matrices=False)[2][:size].T
        return factor_ranks(left, right, basis, precision).dimension
    return factor_ranks(left, right, None, precision).dimension
