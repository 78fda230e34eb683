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
from icl_theory.core.numerics import transpose
from icl_theory.core.symmetric import symmetric_pairs

RANK_TOLERANCE = 1e-11  # singular values below this fraction of the largest one count as zero


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


def numerical_rank(matrix: np.ndarray, size: float | None = None) -> int:
    """Number of singular values above RANK_TOLERANCE times `size`, the largest of them if not given."""
    values = np.linalg.svd(matrix, compute_uv=False)
    size = float(values[0]) if size is None else size
    return int((values > RANK_TOLERANCE * size).sum())


def _normalised(left: np.ndarray, right: np.ndarray, basis: np.ndarray | None) -> tuple[np.ndarray, ...]:
    """A T / |A|, Tᵀ B / |B| and the two norms, each taken before the restriction to T.

    A factor that annihilates the tokens is then rounding relative to 1, not something that counts as rank.
    """
    parts, sizes = [], []
    for matrix in (left, right):
        norm = np.linalg.norm(matrix, axis=(-2, -1), keepdims=True)
        sizes.append(np.where(norm > 0, norm, 1.0))
        parts.append(matrix / sizes[-1])
    if basis is not None:
        parts = [parts[0] @ basis, basis.T @ parts[1]]
    return parts[0], parts[1], sizes[0], sizes[1]


def factor_ranks(left: np.ndarray, right: np.ndarray, basis: np.ndarray | None = None) -> FactorRanks:
    """Numerical ranks of A T, of Tᵀ B and of the stacked pair; T (D, q) is the identity if not given."""
    left, right, _, _ = _normalised(left, right, basis)
    stacked = np.concatenate([left, right.T])
    return FactorRanks(*(numerical_rank(matrix, 1.0) for matrix in (left, right, stacked)))


def span(tokens: np.ndarray) -> np.ndarray:
    """Orthonormal basis T (D, q) of the subspace the tokens (N, D) span."""
    _, values, vt = np.linalg.svd(tokens, full_matrices=False)
    return vt[values > RANK_TOLERANCE * values[0]].T if values[0] > 0 else np.zeros((tokens.shape[1], 0))


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
    def of(
        cls, left: np.ndarray, right: np.ndarray, ranks: FactorRanks | None = None, basis: np.ndarray | None = None
    ) -> "Support":
        """The generalised SVD of A T and Tᵀ B for A, B (..., D, D) and the tokens' subspace T (D, q).

        `ranks` are those of the pair if not given (then it must be a single pair); T is the identity if not given.
        """
        ranks = factor_ranks(left, right, basis) if ranks is None else ranks
        left, right, size_left, size_right = _normalised(left, right, basis)
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
        product, mirrored = (
            self.cosines[..., i] * self.sines[..., j],
            self.cosines[..., j] * self.sines[..., i],
        )
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
    Raises: ValueError for wrong shapes or NaN.
    Source: new; replaces the hypothesis C_t ≻ 0 of Y Theorem 2 (arXiv:2406.03768v2).

    Example:
        >>> import numpy as np
        >>> from icl_theory import support_dimension, truncate
        >>> left, right = np.random.default_rng(0).standard_normal((2, 4, 4))
        >>> support_dimension(left, right), support_dimension(truncate(left, 1).matrix, right)
        (10, 4)
    """
    left = checks.array("left", left, (None, None))
    right = checks.array("right", right, (left.shape[1], None), "pass A (D, D) and B (D, D)")
    basis = None
    if tokens is not None:
        basis = span(checks.array("tokens", tokens, (None, left.shape[1])))
        if basis.shape[1] == 0:
            return 0
    return factor_ranks(left, right, basis).dimension
