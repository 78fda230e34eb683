"""The support of a layer where the second moment of the tokens varies in some directions only.

Labels ±1 have y² = 1 in every demonstration, so S never moves along e_y e_yᵀ, and the gradient A S B moves in the image
of the other directions alone. Whether that image has a dimension less depends on the layer: an invertible one loses it,
one whose W_V does not see the labels does not. New, not in Y (arXiv:2406.03768v2).
"""

from dataclasses import dataclass

import numpy as np

from icl_theory.core.numerics import transpose
from icl_theory.noise.multi_head_support import SummedSupport
from icl_theory.noise.support import Support

_ZERO, _CLEAR = 32.0, 1024.0  # singular values of the maps in units of their rounding, relative to their norm


@dataclass(frozen=True)
class RestrictedSupport:
    """Orthonormal coordinates of {A X B : svec X = E z} for a stack of pairs (A, B); a constant part of X is apart."""

    base: Support | SummedSupport
    """Coordinates of {A X B : X symmetric}."""
    turn: np.ndarray
    """Orthonormal basis of the image in those coordinates, shape (..., d, d_t)."""
    free: np.ndarray
    """E, shape (q(q+1)/2, m)."""

    @property
    def dimension(self) -> int:
        """d_t."""
        return self.turn.shape[-1]

    @property
    def doubt(self) -> np.ndarray:
        """As in `Support`."""
        return self.base.doubt

    def matrix(self) -> np.ndarray:
        """P with coordinates P z, shape (..., d_t, m)."""
        return transpose(self.turn) @ self.base.matrix() @ self.free

    def project(self, matrix: np.ndarray) -> np.ndarray:
        """Coordinates of the orthogonal projection of a D x D matrix on the image, shape (..., d_t)."""
        return (transpose(self.turn) @ self.base.project(matrix)[..., None])[..., 0]

    def embed(self, coordinates: np.ndarray) -> np.ndarray:
        """The D x D matrix with these coordinates."""
        return self.base.embed((self.turn @ coordinates[..., None])[..., 0])


def restricted(
    support: Support | SummedSupport, maps: np.ndarray, free: np.ndarray, error: np.ndarray, in_units: bool
) -> tuple[RestrictedSupport, np.ndarray]:
    """The support of what varies, and P with z ↦ P z as informative as the gradient and as well conditioned as can be.

    Args:
        support: of all symmetric X.
        maps: those of `canonical_support`, shape (K or 1, d, q(q+1)/2): ranks are read off them.
        free: E, shape (q(q+1)/2, m).
        error: relative rounding of the maps, shape (K or 1,). A direction that is at a small angle to the constant one
            leaves the square of that angle, so little more than rounding can be a dimension.
        in_units: whether the maps returned are those of the support, as a noise floor needs them.

    Raises: LinAlgError where a dimension is in doubt on some path, or differs between them.
    """
    if support.dimension == len(free):  # an invertible map: what varies is E z itself
        left = np.linalg.qr(support.matrix() @ free)[0]
        found = RestrictedSupport(support, left, free)
        return found, found.matrix() if in_units else np.eye(free.shape[1])[None]
    _, values, rows = np.linalg.svd(maps @ free, full_matrices=False)
    unit = (error * np.linalg.norm(maps, axis=(-2, -1)))[..., None]
    kept = (values > _CLEAR * unit).sum(-1)
    sure = ((values > _CLEAR * unit) | (values < _ZERO * unit)).all()
    if not sure or kept.min(initial=len(free)) != kept.max(initial=0):
        raise np.linalg.LinAlgError("the dimension of what varies is in doubt")
    rank = int(kept.max(initial=0))
    left = np.linalg.svd(support.matrix() @ free, full_matrices=False)[0][..., :rank]
    found = RestrictedSupport(support, left, free)
    return found, found.matrix() if in_units else rows[..., :rank, :]
