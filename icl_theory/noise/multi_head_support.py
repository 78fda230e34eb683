"""The support of several heads: the image of X ↦ Σ_h A_h X B_h over symmetric X, and coordinates on it.

One head has the closed form of `support.Support`. A sum of heads has none, so its coordinates come from the singular
value decomposition of the map itself, a D² x q(q+1)/2 matrix: meant for the small D of the ladder. All of it is new.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from icl_theory.core.numerics import transpose
from icl_theory.core.ranks import Precision, definite_rank
from icl_theory.core.symmetric import outer_coordinates, symmetric_pairs
from icl_theory.noise.support import FactorRanks, Support, factor_ranks, relative_errors


class SummedRank(NamedTuple):
    """The rank that decides which coordinates exist."""

    dimension: int
    """d_S, the rank of X ↦ Σ_h A_h X B_h."""


def summed_map(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """F with vec Σ_h A_h X B_h = F svec(X), shape (..., D², q(q+1)/2), for A (..., H, D, q) and B (..., H, q, D)."""
    i, j, weight = symmetric_pairs(left.shape[-1])
    columns, rows = transpose(left), right  # (..., H, q, D): a_i and b_i
    first = np.einsum("...hpa,...hpb->...pab", columns[..., i, :], rows[..., j, :])
    mirrored = np.einsum("...hpa,...hpb->...pab", columns[..., j, :], rows[..., i, :])
    images = (first + mirrored) * (weight / 2)[:, None, None]
    return transpose(images.reshape(*images.shape[:-2], -1))


@dataclass(frozen=True)
class SummedSupport:
    """Orthonormal coordinates of the image for a list of heads, or for a stack of such lists with the same rank."""

    ranks: SummedRank
    """Decides the dimension; the same for every list of a stack."""
    left_vectors: np.ndarray
    """U of F = U diag(s) Vᵀ, shape (..., D², d_S)."""
    values: np.ndarray
    """s, shape (..., d_S)."""
    right_vectors: np.ndarray
    """Vᵀ, shape (..., d_S, q(q+1)/2)."""

    @property
    def dimension(self) -> int:
        """d_S."""
        return self.ranks.dimension

    @property
    def log_volume(self) -> np.ndarray | None:
        """log |det P| of `matrix`, shape (...), or None where P is not square."""
        return np.log(self.values).sum(-1) if self.dimension == self.right_vectors.shape[-1] else None

    @property
    def doubt(self) -> np.ndarray:
        """Σ of the relative errors that rounding leaves in its scales, shape (...)."""
        if self.dimension == 0:
            return np.zeros(self.values.shape[:-1])
        return relative_errors(self.values)

    def coordinates(self, tokens: np.ndarray) -> np.ndarray:
        """Coordinates of Σ_h A_h h hᵀ B_h for every token (..., N, q), shape (..., N, d_S)."""
        return outer_coordinates(tokens) @ transpose(self.matrix())

    def matrix(self) -> np.ndarray:
        """P with z = P svec(X), shape (..., d_S, q(q+1)/2)."""
        return self.values[..., None] * self.right_vectors

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Coordinates of the orthogonal projection of a D x D matrix onto the image, shape (..., d_S)."""
        flat = matrix.reshape(*matrix.shape[:-2], -1, 1)
        return (transpose(self.left_vectors) @ flat)[..., 0]

    def embed(self, coordinates: np.ndarray) -> np.ndarray:
        """The D x D matrix with these coordinates, the inverse of `project` on the image."""
        flat = (self.left_vectors @ coordinates[..., None])[..., 0]
        size = int(np.sqrt(flat.shape[-1]))
        return flat.reshape(*flat.shape[:-1], size, size)


Ranks = FactorRanks | SummedRank


def ranks_of(left: np.ndarray, right: np.ndarray) -> Ranks:
    """Ranks of one pair (A, B), or of a list of heads A (H, D, q) and B (H, q, D). ValueError where one is in doubt."""
    return factor_ranks(left, right) if left.ndim == 2 else summed_rank(left, right)


def summed_rank(
    left: np.ndarray,
    right: np.ndarray,
    precision: Precision | None = None,
    name: str = "the sum of the heads",
    error: float = 0.0,
) -> SummedRank:
    """The rank of X → Σ_h A_h X B_h for A (H, D, q) and B (H, q, D). Raises: ValueError where it is in doubt.

    `error` is that of A and B in units of rounding, where they were estimated.
    """
    mapped = summed_map(left, right)
    size = float((np.linalg.norm(left, axis=(-2, -1)) * np.linalg.norm(right, axis=(-2, -1))).max())
    growth = float(left.shape[-1]) + error  # every entry of the map is a sum of so many products
    return SummedRank(definite_rank(name, mapped, precision, growth=growth, size=size) if size > 0 else 0)


def support_of(left: np.ndarray, right: np.ndarray, ranks: Ranks | None = None) -> Support | SummedSupport:
    """Coordinates of the support for A, B (..., D, D), or with `SummedRank` for heads A, B (..., H, D, D)."""
    ranks = ranks_of(left, right) if ranks is None else ranks
    if isinstance(ranks, FactorRanks):
        return Support.of(left, right, ranks)
    u, values, vt = np.linalg.svd(summed_map(left, right), full_matrices=False)
    kept = ranks.dimension
    return SummedSupport(ranks, u[..., :kept], values[..., :kept], vt[..., :kept, :])
