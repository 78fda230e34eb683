"""Ranks of matrices that a claim has computed from well-conditioned random cases."""

import numpy as np

_TOLERANCE = 1e-11  # of the largest singular value; the cases are far from both sides of it


def numerical_rank(matrix: np.ndarray) -> int:
    """Number of singular values above 1e-11 of the largest."""
    values = np.linalg.svd(matrix, compute_uv=False)
    return int((values > _TOLERANCE * values[0]).sum())
