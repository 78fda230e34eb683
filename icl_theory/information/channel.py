"""Channels with a known Gaussian conditional: log densities p(w_i | H_j) of every output under every input."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from icl_theory._numerics import transpose

# A pivot of relative size r carries an error of about EPS / r into the log-determinant: 2e-5 nats at this limit.
SMALLEST_PIVOT = 1e-11
LOG_2PI = float(np.log(2 * np.pi))


def covariance_root(covariance: np.ndarray) -> np.ndarray:
    """Lower triangular F with C = F Fᵀ for a stack (..., d, d), scaled to unit diagonal on the way.

    Raises numpy.linalg.LinAlgError where a matrix is not positive definite: never a silent jitter.
    """
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    if not (variance > 0).all():
        raise np.linalg.LinAlgError("a variance is not positive")
    deviation = np.sqrt(variance)
    correlation = covariance / (deviation[..., None] * deviation[..., None, :])
    return deviation[..., None] * np.linalg.cholesky(correlation)


def _triangle(root: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R and row norms s of F (..., d, m) with F Fᵀ = diag(s) RᵀR diag(s), and log det F Fᵀ.

    By QR of the roots, never through the product: a condition number that is squared loses the small directions of
    graded or truncated weights. Raises LinAlgError where F Fᵀ is singular to rounding.
    """
    norms = np.linalg.norm(root, axis=-1)
    if not (norms > 0).all():
        raise np.linalg.LinAlgError("a variance is zero")
    triangle = np.asarray(np.linalg.qr(transpose(root / norms[..., None]), mode="r"))
    diagonal = np.abs(np.diagonal(triangle, axis1=-2, axis2=-1))
    if not (diagonal > SMALLEST_PIVOT).all():
        raise np.linalg.LinAlgError("singular to rounding")
    return triangle, norms, 2 * (np.log(diagonal).sum(-1) + np.log(norms).sum(-1))


def log_determinant(root: np.ndarray) -> np.ndarray:
    """log det F Fᵀ of a stack of roots (..., d, m), m ≥ d; LinAlgError where it is singular."""
    return _triangle(root)[2]


def whitening(root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W with W F Fᵀ Wᵀ = I for a stack of roots (..., d, m), and log det F Fᵀ; LinAlgError where it is singular."""
    triangle, norms, log_volume = _triangle(root)
    return np.linalg.inv(transpose(triangle)) / norms[..., None, :], log_volume


def with_floor(root: np.ndarray, floor: float) -> np.ndarray:
    """A root of F Fᵀ + ε² I: the columns of ε I stand beside those of F."""
    if floor == 0:
        return root
    width = root.shape[-2]
    extra = np.broadcast_to(np.sqrt(floor) * np.eye(width), (*root.shape[:-1], width))
    return np.concatenate([root, extra], axis=-1)


class Channel(Protocol):
    """K independent pairs (H_k, w_k) with w | H Gaussian."""

    @property
    def samples(self) -> int:
        """K."""
        ...

    def log_density(self, rows: slice) -> np.ndarray:
        """log p(w_i | H_j) for the outputs i in `rows` and all inputs j, shape (len(rows), K)."""
        ...


@dataclass(frozen=True)
class SharedChannel:
    """w | H_j ~ N(m_j, C_j) in coordinates that are the same for all outputs; several independent looks add up."""

    outputs: np.ndarray
    """Looks, shape (K, looks, d)."""
    means: np.ndarray
    """m_j, shape (K, d)."""
    inverse: np.ndarray
    """W_j with W_j C_j W_jᵀ = I, shape (K, d, d)."""
    log_volume: np.ndarray
    """log det C_j, shape (K,)."""

    @classmethod
    def of(cls, outputs: np.ndarray, means: np.ndarray, roots: np.ndarray) -> "SharedChannel":
        """From outputs (K, looks, d), means (K, d) and roots F_j (K, d, m) of the covariances F_j F_jᵀ."""
        inverse, log_volume = whitening(roots)
        return cls(outputs, means, inverse, log_volume)

    @property
    def samples(self) -> int:
        """K."""
        return len(self.outputs)

    def log_density(self, rows: slice) -> np.ndarray:
        """Σ over looks of log N(w_i; m_j, C_j), shape (len(rows), K)."""
        count, looks, width = self.outputs.shape
        block = self.outputs[rows]
        flat = self.inverse.reshape(count * width, width)
        centre = np.einsum("jab,jb->ja", self.inverse, self.means)
        total = np.zeros((len(block), count))
        for look in range(looks):
            # One matrix product for all pairs; the loop over looks keeps memory at one layer's worth.
            white = (block[:, look] @ flat.T).reshape(len(block), count, width) - centre
            total += np.einsum("ijd,ijd->ij", white, white)
        return -0.5 * (total + looks * (self.log_volume + width * LOG_2PI))


@dataclass(frozen=True)
class PathChannel:
    """One layer whose map P_i depends on the path of output i: z_i | H_j ~ N(P_i m_j, P_i C_j P_iᵀ + ε² I)."""

    outputs: np.ndarray
    """z_i, shape (K, d)."""
    maps: np.ndarray
    """P_i, shape (K, d, m)."""
    means: np.ndarray
    """svec S_j, shape (K, m)."""
    roots: np.ndarray
    """Root of C_X of H_j, shape (K, m, ·)."""
    floor: float

    @property
    def samples(self) -> int:
        """K."""
        return len(self.outputs)

    def log_density(self, rows: slice) -> np.ndarray:
        """log N(z_i; P_i m_j, P_i C_j P_iᵀ + ε² I), shape (len(rows), K)."""
        result = np.empty((len(self.outputs[rows]), self.samples))
        width = self.outputs.shape[1]
        for line, (z, p) in enumerate(zip(self.outputs[rows], self.maps[rows], strict=True)):
            inverse, log_volume = whitening(with_floor(p @ self.roots, self.floor))
            white = np.einsum("jab,jb->ja", inverse, z - self.means @ p.T)
            result[line] = -0.5 * ((white**2).sum(-1) + log_volume + width * LOG_2PI)
        return result
