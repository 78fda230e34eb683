"""Channels with a known Gaussian conditional: log densities p(w_i | H_j) of every output under every input."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from icl_theory.core.numerics import transpose
from icl_theory.core.symmetric import outer_coordinates, symmetric_coordinates
from icl_theory.information.covariance_roots import SMALLEST_PIVOT, whitening, with_floor

LOG_2PI = float(np.log(2 * np.pi))


class Channel(Protocol):
    """K independent pairs (H_k, w_k) with w | H Gaussian."""

    @property
    def samples(self) -> int:
        """K."""
        ...

    def log_density(self, rows: slice) -> np.ndarray:
        """log p(w_i | H_j) for the outputs i in `rows` and all inputs j, shape (len(rows), K)."""
        ...


def pooled_frame(outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre (d,) and matrix T (d, d) with T (w - centre) of unit pooled covariance; T = I for too few outputs."""
    flat = outputs.reshape(-1, outputs.shape[-1])
    centre, width = flat.mean(axis=0), outputs.shape[-1]
    triangle = np.asarray(np.linalg.qr(flat - centre, mode="r")) / np.sqrt(len(flat))
    pivots = np.abs(np.diagonal(triangle))
    if len(triangle) < width or pivots.min() <= SMALLEST_PIVOT * pivots.max():
        return centre, np.eye(width)
    return centre, np.linalg.inv(triangle).T


@dataclass(frozen=True)
class SharedChannel:
    """w | H_j ~ N(m_j, C_j) in coordinates that are the same for all outputs; several independent observations add up.

    The quadratic form (w - m)ᵀ P (w - m) is linear in svec(w wᵀ), w and 1, so all pairs come from one matrix product
    for any number of observations. The outputs are centred and whitened together first, which keeps the terms of that
    sum small compared with its rounding.
    """

    features: np.ndarray
    """svec(w wᵀ), w and 1 of every output, summed over its observations, shape (K, d(d+1)/2 + d + 1)."""
    coefficients: np.ndarray
    """The matching coefficients of every input, shape (K, d(d+1)/2 + d + 1)."""
    constant: np.ndarray
    """Normalisation of every input's density, all observations, shape (K,)."""

    @classmethod
    def of(cls, outputs: np.ndarray, means: np.ndarray, roots: np.ndarray) -> "SharedChannel":
        """From outputs (K, n, d), means (K, d) and roots F_j (K, d, m) of the covariances F_j F_jᵀ."""
        observations, width = outputs.shape[1:]
        centre, frame = pooled_frame(outputs)
        inner, means = (outputs - centre) @ frame.T, (means - centre) @ frame.T
        white, log_volume = whitening(frame @ roots)
        precision = transpose(white) @ white
        pulled = np.einsum("kde,ke->kd", precision, means)
        square = outer_coordinates(inner).sum(axis=1)
        ones = np.full((len(outputs), 1), float(observations))
        features = np.concatenate([square, inner.sum(axis=1), ones], axis=1)
        level = (pulled * means).sum(axis=1, keepdims=True)
        coefficients = np.concatenate([symmetric_coordinates(precision), -2 * pulled, level], axis=1)
        jacobian = 2 * np.linalg.slogdet(frame)[1]
        return cls(features, coefficients, observations * (log_volume - jacobian + width * LOG_2PI))

    @property
    def samples(self) -> int:
        """K."""
        return len(self.features)

    def log_density(self, rows: slice) -> np.ndarray:
        """Σ over observations of log N(w_i; m_j, C_j), shape (len(rows), K)."""
        return -0.5 * (self.features[rows] @ self.coefficients.T + self.constant)


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
        covariances = self.roots @ transpose(self.roots)
        stacked = self.roots.transpose(0, 2, 1).reshape(-1, self.roots.shape[1]) / np.sqrt(self.samples)
        frame = np.asarray(np.linalg.qr(stacked, mode="r")).T
        for line, (z, p) in enumerate(zip(self.outputs[rows], self.maps[rows], strict=True)):
            # Every covariance is well conditioned relative to the mean of all of them, however graded the maps are.
            white, log_volume = whitening(with_floor(p @ frame, self.floor))
            pulled, offset = white @ p, (z - self.means @ p.T) @ white.T
            noise = pulled @ covariances @ pulled.T + self.floor * (white @ white.T)
            form, volume = _forms(noise, offset) or self._slow_forms(p, white, offset)
            result[line] = -0.5 * (form + volume + log_volume + len(z) * LOG_2PI)
        return result

    def _slow_forms(self, map_: np.ndarray, white: np.ndarray, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same from the roots, where the product of the roots has lost the small directions."""
        inverse, log_volume = whitening(white @ with_floor(map_ @ self.roots, self.floor))
        return (np.einsum("jab,jb->ja", inverse, offset) ** 2).sum(-1), log_volume


def _forms(covariances: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """vᵀ C⁻¹ v and log det C of a stack, by Cholesky and substitution over the stack; None where pivots are lost."""
    try:
        lower = np.linalg.cholesky(covariances)
    except np.linalg.LinAlgError:
        return None
    pivots = np.diagonal(lower, axis1=1, axis2=2)
    if pivots.size and pivots.min() ** 2 < SMALLEST_PIVOT * pivots.max() ** 2:
        return None
    solved = np.empty_like(vectors)
    for i in range(vectors.shape[-1]):
        known = np.einsum("ka,ka->k", lower[:, i, :i], solved[:, :i])
        solved[:, i] = (vectors[:, i] - known) / lower[:, i, i]
    return (solved**2).sum(-1), 2 * np.log(pivots).sum(-1)
