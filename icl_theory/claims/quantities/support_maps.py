"""The maps from second moments to updates, on which the support of the noise rests."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.core.symmetric import symmetric_pairs
from icl_theory.information.ladder.token_law import gaussian_moment_covariance


def moment_covariance(case: Case, shots: int = 0) -> np.ndarray:
    """Cov(svec h hᵀ) / b, the covariance of the prior in symmetric coordinates."""
    return gaussian_moment_covariance(case.task.token_covariance(case.task_vector)) / (shots or case.ladder_shots)


def basis_images(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """vec(A E B) for every orthonormal symmetric basis matrix E, shape (D², D(D+1)/2)."""
    rows, columns, weight = symmetric_pairs(len(left))
    direct = left[:, rows][:, None] * right[columns].T[None]
    mirrored = left[:, columns][:, None] * right[rows].T[None]
    return ((direct + mirrored) * (weight / 2)).reshape(-1, len(rows))
