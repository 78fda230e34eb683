"""Truncation by singular value decomposition, in the plain and in a whitened metric; rates, condition numbers."""

import itertools

import numpy as np
import pytest
from helpers import assert_close, best_rank_by_alternation, error_message, matrix_of_rank, random_matrices
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import Model, condition_number, truncate, truncate_weights
from icl_theory.models.options import Module
from icl_theory.truncation.svd import MODULES, module_rank, rank_of_rate

LAYERS, D, HIDDEN = 2, 4, 6
ARRAYS = ("value", "key", "query", "mlp_in", "mlp_out")


def make(rng: np.random.Generator, mlp: bool = True) -> Model:
    inner, outer = rng.standard_normal((LAYERS, HIDDEN, D)), rng.standard_normal((LAYERS, D, HIDDEN))
    return Model.create(*random_matrices(rng, LAYERS, D), *((inner, outer) if mlp else ()))


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_best_of_its_rank(rng: np.random.Generator, shape: tuple[int, int], rank: int) -> None:
    """Against alternating least squares; Pythagoras; kept and dropped are all the singular values."""
    u, _ = np.linalg.qr(rng.standard_normal((shape[0], 3)))
    v, _ = np.linalg.qr(rng.standard_normal((shape[1], 3)))
    matrix = (u * [4.0, 2.0, 1.0]) @ v.T
    result = truncate(matrix, rank)
    assert_close(result.matrix, best_rank_by_alternation(matrix, rank, rng), 1e-9)
    assert_close(np.r_[result.kept, result.dropped], np.array([4.0, 2.0, 1.0]))
    assert len(result.kept) == rank
    rest = matrix - result.matrix
    assert_close((rest**2).sum(), np.array((result.dropped**2).sum()), 1e-10 if rank < 3 else np.inf)
    assert_close((result.matrix**2).sum() + (rest**2).sum(), (matrix**2).sum())
    h = rng.standard_normal(shape[1])
    assert_close(((matrix @ h) ** 2).sum(), ((result.matrix @ h) ** 2).sum() + ((rest @ h) ** 2).sum())


def test_rank_zero_and_full(rng: np.random.Generator) -> None:
    """Rank 0 is the zero matrix, full rank the matrix itself, with and without a metric."""
    matrix, metric = rng.standard_normal((4, 4)), np.diag([1.0, 2.0, 3.0, 4.0])
    for options in ({}, {"metric": metric}):
        np.testing.assert_array_equal(truncate(matrix, 0, **options).matrix, np.zeros((4, 4)))
        assert_close(truncate(matrix, 4, **options).matrix, matrix, 1e-10)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_whitened(rng: np.random.Generator, rank: int) -> None:
    """Λ^{1/2} is replaced by a Cholesky factor R, Λ = R Rᵀ: the norm ||Rᵀ (W - W_r) R|| is the same."""
    matrix, factor = rng.standard_normal((4, 4)), np.tril(rng.standard_normal((4, 4))) + 2 * np.eye(4)
    metric = factor @ factor.T
    result = truncate(matrix, rank, metric=metric)
    oracle = best_rank_by_alternation(factor.T @ matrix @ factor, rank, rng)
    undone = np.linalg.solve(factor.T, oracle) @ np.linalg.inv(factor)
    assert_close(result.matrix, undone, 1e-8)
    values = np.sqrt(np.linalg.eigvals(metric @ matrix @ metric @ matrix.T).real)
    assert_close(np.r_[result.kept, result.dropped], np.sort(values)[::-1], 1e-9)
    assert np.linalg.matrix_rank(result.matrix, tol=1e-9) == rank
    assert np.abs(result.matrix - truncate(matrix, rank).matrix).max() > 1e-4


def test_identity_metric(rng: np.random.Generator) -> None:
    """The identity is the plain metric."""
    matrix = rng.standard_normal((4, 4))
    assert_close(truncate(matrix, 2, metric=np.eye(4)).matrix, truncate(matrix, 2).matrix, 1e-10)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_error_and_scale(seed: int, rank: int) -> None:
    """Error falls with rank and scale commutes."""
    matrix = np.random.default_rng(seed).standard_normal((3, 5))
    error = [np.linalg.norm(matrix - truncate(matrix, r).matrix) for r in range(4)]
    assert all(later < earlier for earlier, later in itertools.pairwise(error))
    assert_close(truncate(-3 * matrix, rank).matrix, -3 * truncate(matrix, rank).matrix, 1e-10)
    assert_close(truncate(matrix.T, rank).matrix, truncate(matrix, rank).matrix.T, 1e-10)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("layer", [0, 1])
def test_touches_its_module(rng: np.random.Generator, module: Module, layer: int) -> None:
    """Truncate weights touches its module only."""
    touched = {
        "attention": {"value", "key", "query"},
        "mlp": {"mlp_in", "mlp_out"},
        "all": set(ARRAYS),
    }.get(module, {module})
    model = make(rng)
    before = {name: getattr(model, name).copy() for name in ARRAYS}
    result = truncate_weights(model, layer=layer, module=module, rank=2)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(model, name), before[name])
        np.testing.assert_array_equal(getattr(result, name)[1 - layer], before[name][1 - layer])
        if name in touched:
            assert_close(getattr(result, name)[layer], truncate(before[name][layer], 2).matrix)
            assert np.linalg.matrix_rank(getattr(result, name)[layer], tol=1e-9) == 2
        else:
            np.testing.assert_array_equal(getattr(result, name)[layer], before[name][layer])


def test_all_without_mlp(rng: np.random.Generator) -> None:
    """All without MLP is attention."""
    model = make(rng, mlp=False)
    first = truncate_weights(model, layer=1, module="all", rank=1)
    second = truncate_weights(model, layer=1, module="attention", rank=1)
    for name in ("value", "key", "query"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.mlp_in is None
    assert first.mlp_out is None


def test_module_rank(rng: np.random.Generator) -> None:
    """The smallest side of the matrices of a module."""
    model = make(rng)
    narrow = model.replace(mlp_in=model.mlp_in[:, :3], mlp_out=model.mlp_out[:, :, :3])
    assert [module_rank(model, module) for module in MODULES] == [4] * 6
    assert [module_rank(narrow, module) for module in MODULES] == [4, 4, 4, 4, 3, 3]


@pytest.mark.parametrize(
    ("rate", "rows", "columns", "rank"),
    [
        (0, 4, 4, 4),
        (0.5, 4, 8, 2),
        (0.75, 4, 4, 1),
        (0.1, 10, 20, 9),
        (0.9, 10, 10, 1),
        (0.3, 4, 4, 2),
        (0.99, 100, 300, 1),
    ],
)
def test_clipping_rates(rate: float, rows: int, columns: int, rank: int) -> None:
    """The rank is rounded down."""
    assert rank_of_rate(rate, rows, columns) == rank


@given(st.integers(1, 60), st.data())
def test_rate_and_rank(side: int, data: st.DataObject) -> None:
    """The rate of a rank gives the rank back."""
    rank = data.draw(st.integers(1, side))
    assert rank_of_rate(1 - rank / side, side, side + 3) == rank


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


def test_truncation_errors(rng: np.random.Generator) -> None:
    """Ranks, matrices and metrics that do not fit."""
    matrix = rng.standard_normal((3, 4))
    for rank in (-1, 4, 1.0, True):
        assert "rank" in error_message(truncate, matrix, rank)
    assert "matrix" in error_message(truncate, matrix[0], 1)
    assert "matrix" in error_message(truncate, matrix * np.nan, 1)
    assert "square" in error_message(truncate, matrix, 1, metric=np.eye(4))
    square = rng.standard_normal((3, 3))
    assert "metric" in error_message(truncate, square, 1, metric=np.eye(4))
    assert "positive definite" in error_message(truncate, square, 1, metric=np.diag([1.0, 1.0, 0.0]))
    assert "eigenvalue" in error_message(truncate, square, 1, metric=np.diag([1.0, 1.0, -1.0]))
    assert "symmetric" in error_message(truncate, square, 1, metric=np.eye(3) + np.eye(3, k=1))
    assert "matrix" in error_message(condition_number, matrix[0])
    assert "matrix" in error_message(condition_number, matrix * np.inf)


def test_rate_errors() -> None:
    """Rates out of range, and one that would keep nothing."""
    for rate in (-0.1, 1.0, 1.5, np.nan, "0.5"):
        assert "rate" in error_message(rank_of_rate, rate, 4, 4)
    assert "rank=0" in error_message(rank_of_rate, 0.9, 4, 4)


def test_truncate_weights_errors(rng: np.random.Generator) -> None:
    """Errors of `truncate_weights`."""
    model = make(rng)
    for layer in (-1, LAYERS, 0.0):
        assert "layer" in error_message(truncate_weights, model, layer=layer, module="value", rank=1)
    for rank in (-1, D + 1, 1.0):
        assert "rank" in error_message(truncate_weights, model, layer=0, module="value", rank=rank)
    assert "module" in error_message(truncate_weights, model, layer=0, module="head", rank=1)
    assert "MLP" in error_message(truncate_weights, make(rng, mlp=False), layer=0, module="mlp", rank=1)
    ensemble = Model(*(np.stack([a, a]) for a in (model.value, model.key, model.query)))
    assert "member" in error_message(truncate_weights, ensemble, layer=0, module="value", rank=1)
    assert "Model" in error_message(truncate_weights, model.value, layer=0, module="value", rank=1)
    assert "module" in error_message(module_rank, model, "head")
