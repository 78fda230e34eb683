"""Few demonstrations and repeated ones, and their ranks."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.quantities.numerical_rank import numerical_rank

_FEW = 3  # fewer demonstrations than the token dimension, so that the bound is not trivial


_REPEATS = np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0], [1, -1, 0]])  # four demonstrations made of two


def few_and_repeated(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Three demonstrations, and four that span two dimensions: N, and rank H_s below N."""
    few = case.demonstrations[:_FEW]
    return few, _REPEATS @ few


def demonstration_ranks(case: Case) -> np.ndarray:
    """rank H_s of both sets."""
    return np.array([numerical_rank(tokens) for tokens in few_and_repeated(case)], dtype=float)


def demonstration_counts(case: Case) -> np.ndarray:
    """N of both sets."""
    return np.array([len(tokens) for tokens in few_and_repeated(case)], dtype=float)
