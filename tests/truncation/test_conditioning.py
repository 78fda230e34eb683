"""Condition numbers of matrices and of modules."""

import numpy as np
import pytest
from helpers import error_message, matrix_of_rank

from icl_theory import Model, condition_number, random_weights, truncate_weights
from icl_theory.truncation.conditioning import module_condition_number


def test_condition_number(rng: np.random.Generator) -> None:
    """Ratio of the singular values; +inf where one is zero."""
    left, right = (np.linalg.qr(rng.standard_normal((3, 3)))[0] for _ in range(2))
    assert condition_number(left @ np.diag([6.0, 3.0, 0.5]) @ right) == pytest.approx(12.0, rel=1e-9)
    assert condition_number(rng.standard_normal((3, 1))) == pytest.approx(1.0, rel=1e-12)
    assert condition_number(np.diag([1.0, 1e-9])) == pytest.approx(1e9, rel=1e-9)
    for singular in (matrix_of_rank(rng, 4, 3), np.zeros((2, 2)), np.ones((3, 2))):
        assert condition_number(singular) == np.inf


def test_change_of_a_solution(rng: np.random.Generator) -> None:
    """|δx|/|x| ≤ κ |δb|/|b|, attained with b along the largest and δb along the smallest singular vector."""
    matrix = rng.standard_normal((4, 4))
    kappa = condition_number(matrix)
    u, _, _ = np.linalg.svd(matrix)
    inverse = np.linalg.inv(matrix)

    def ratio(b: np.ndarray, change: np.ndarray) -> float:
        norm = np.linalg.norm
        return float(norm(inverse @ change) / norm(inverse @ b) / (norm(change) / norm(b)))

    assert ratio(u[:, 0], u[:, -1]) == pytest.approx(kappa, rel=1e-9)
    assert max(ratio(*rng.standard_normal((2, 4))) for _ in range(200)) <= kappa
    assert "matrix" in error_message(condition_number, matrix[0])
    assert "matrix" in error_message(condition_number, matrix * np.inf)


def test_product(rng: np.random.Generator) -> None:
    """κ₂ of W_KᵀW_Q, however it was factored; +inf where one factor is singular."""
    model, mix = random_weights(3, layers=2, token_dim=3), rng.standard_normal((3, 3))
    other = model.replace(key=np.linalg.inv(mix).T @ model.key, query=mix @ model.query)
    for layer in range(2):
        product = condition_number(model.key[layer].T @ model.query[layer])
        for same in (model, other):
            assert module_condition_number(same, layer, "key_query") == pytest.approx(product, rel=1e-9)
    for module in ("key", "query", "key_query"):
        cut = truncate_weights(model, layer=1, module=module, rank=2)
        assert module_condition_number(cut, 1, "key_query") == np.inf
        assert np.isfinite(module_condition_number(cut, 0, "key_query"))
    # In numbers of float32 the product of a singular factor has a smallest singular value of rounding, 1e-8.
    rounded = (np.asarray(getattr(cut, name), dtype=np.float32) for name in ("value", "key", "query"))
    assert module_condition_number(Model.create(*rounded), 1, "key_query") == np.inf
