"""The gradients of demonstrations with the working precision of mpmath, through definitions only."""

from typing import Any

import mpmath as mp
import numpy as np

from icl_theory import Model


def exact(array: np.ndarray) -> Any:
    """The same numbers with the working precision of mpmath."""
    return mp.matrix(array.tolist())


def exact_factors(model: Model, tokens: np.ndarray, layer: int) -> tuple[Any, Any]:
    """a_i and b_i as rows, through the definition of M = I + Σ (W_V M)(HᵀH/N)(Mᵀ W_Kᵀ W_Q M)."""
    h, m = exact(tokens), mp.eye(tokens.shape[1])
    left, right = m, m
    for t in range(layer + 1):
        value, key, query = (exact(a[t]) for a in (model.value, model.key, model.query))
        left, right = value * m, m.T * key.T * query * m
        m = m + left * (h.T * h / len(tokens)) * right
    return h * left.T, h * right


def exact_squares(pairs: list[tuple[Any, Any]]) -> tuple[list[Any], Any]:
    """Eigenvalues of the centred Gram matrix of Σ a_i b_iᵀ over heads, descending, and |g|: squares do no harm here."""
    count = pairs[0][0].rows
    gram = mp.zeros(count)
    for a, b in pairs:
        for c, d in pairs:
            first, second = a * c.T, b * d.T
            for i in range(count):
                for j in range(count):
                    gram[i, j] += first[i, j] * second[i, j]
    centring = mp.eye(count) - mp.ones(count) / count
    values = sorted(mp.eigsy(centring * gram * centring, eigvals_only=True), reverse=True)
    return values[:-1], mp.sqrt(sum(gram[i, i] for i in range(count)))
