"""Prompts and masks as the matrices of Y Eq. 1."""

import numpy as np

from icl_theory.claims.engine.cases import Case


def prompt_matrix(case: Case) -> np.ndarray:
    """H = [h_1, ..., h_N, h_{N+1}], shape (D, N + 1); the last column is a query whose label is not masked."""
    query = np.random.default_rng(case.seed).standard_normal(case.model.token_dim)
    return np.column_stack([case.demonstrations.T, query])


def mask_of(count: int, kept: int) -> np.ndarray:
    """M = diag(1, ..., 1, 0, ..., 0), shape (count, count)."""
    return np.diag((np.arange(count) < kept).astype(float))
