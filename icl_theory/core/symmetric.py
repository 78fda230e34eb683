"""Orthonormal coordinates of symmetric matrices (svec)."""

import numpy as np


def symmetric_pairs(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index pairs i ≤ j and the weights (1 on the diagonal, √2 off it) of orthonormal symmetric coordinates."""
    rows, columns = np.triu_indices(size)
    return rows, columns, np.where(rows == columns, 1.0, np.sqrt(2.0))


def symmetric_coordinates(matrix: np.ndarray) -> np.ndarray:
    """svec: (..., q, q) symmetric → (..., q(q+1)/2) with the Frobenius norm kept."""
    rows, columns, weight = symmetric_pairs(matrix.shape[-1])
    return matrix[..., rows, columns] * weight


def outer_coordinates(vectors: np.ndarray) -> np.ndarray:
    """svec(v vᵀ): (..., q) → (..., q(q+1)/2), without v vᵀ itself."""
    rows, columns, weight = symmetric_pairs(vectors.shape[-1])
    result = vectors[..., rows]
    result *= vectors[..., columns]  # in place: for the demonstrations of many runs the copies are what costs time
    result *= weight
    return result


def symmetric_matrix(coordinates: np.ndarray, size: int) -> np.ndarray:
    """The inverse of svec, shape (..., size, size)."""
    rows, columns, weight = symmetric_pairs(size)
    matrix = np.zeros((*coordinates.shape[:-1], size, size))
    matrix[..., rows, columns] = coordinates / weight
    matrix[..., columns, rows] = coordinates / weight
    return matrix
