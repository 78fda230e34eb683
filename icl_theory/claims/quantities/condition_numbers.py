"""Models whose condition numbers are compared, and what a condition number bounds."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption
from icl_theory.truncation.conditioning import condition_number


def first_value(case: Case) -> np.ndarray:
    """W_V of the first layer."""
    return case.model.value[0]


def amplification(case: Case, matrix: np.ndarray | None = None) -> np.ndarray:
    """(|δx|/|x|) / (|δb|/|b|) in W x = b: along the worst pair of directions, and for random ones; W is W_V if None."""
    w, rng = first_value(case) if matrix is None else matrix, np.random.default_rng(case.seed)
    u, _, _ = np.linalg.svd(w)
    # b along the largest and δb along the smallest left singular vector attain the bound.
    b = np.column_stack([u[:, 0], rng.standard_normal((len(w), 20))])
    error = np.column_stack([u[:, -1], rng.standard_normal((len(w), 20))])
    x, change = np.linalg.solve(w, b), np.linalg.solve(w, error)
    relative_x = np.linalg.norm(change, axis=0) / np.linalg.norm(x, axis=0)
    return relative_x * np.linalg.norm(b, axis=0) / np.linalg.norm(error, axis=0)


INVERTIBLE = Assumption(
    "$W_V$ is invertible with a condition number below 1e8",
    holds=lambda case: condition_number(first_value(case)) < 1e8,
)
