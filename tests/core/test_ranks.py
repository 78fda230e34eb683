"""Ranks that the numbers decide for their precision, and those that they do not."""

import numpy as np
import pytest
from helpers import error_message

from icl_theory.core.ranks import coarsest, definite_rank, precision_of, rank_range


def matrix_of_rank(rng: np.random.Generator, size: int, rank: int) -> np.ndarray:
    """The best approximation of that rank of a random matrix."""
    u, values, vt = np.linalg.svd(rng.standard_normal((size, size)))
    return (u[:, :rank] * values[:rank]) @ vt[:rank]


@pytest.mark.parametrize("size", [1, 2, 6, 40])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_truncated_matrices(rng: np.random.Generator, size: int, scale: float) -> None:
    """The rank comes back from float64 and, said to be such, from float32, whatever the scale."""
    for rank in {0, 1, size // 2, size}:
        matrix = matrix_of_rank(rng, size, rank)
        assert definite_rank("it", scale * matrix) == rank
        single = matrix.astype(np.float32).astype(np.float64)
        assert definite_rank("it", single, "float32") == rank
        assert rank_range(scale * matrix) == (rank, rank, 0.0)


def test_doubt(rng: np.random.Generator) -> None:
    """A singular value of 1e-15 could be either, one of 5e-12 is not zero, and one of 1e-17 is."""
    u, v = (np.linalg.qr(rng.standard_normal((4, 4)))[0] for _ in range(2))
    for small, rank in ((5e-12, 4), (1e-13, 4), (1e-17, 3), (0.0, 3)):
        assert definite_rank("it", (u * [1, 0.8, 0.5, small]) @ v) == rank
    doubtful = (u * [1, 0.8, 0.5, 2e-15]) @ v
    assert "rank of it" in error_message(definite_rank, "it", doubtful)
    assert [definite_rank("it", doubtful, None, rank) for rank in (3, 4)] == [3, 4]
    assert "2 declared" in error_message(definite_rank, "it", doubtful, None, 2)


def test_small_entries() -> None:
    """A 1e-20 beside a 1 is a number of its own or rounding: only who made the matrix knows."""
    graded = np.diag([1.0, 1e-20])
    assert "rank of it" in error_message(definite_rank, "it", graded)
    assert [definite_rank("it", graded, None, rank) for rank in (1, 2)] == [1, 2]
    assert definite_rank("it", np.diag([1.0, 0.0])) == 1
    assert definite_rank("it", np.array([[1e-20]])) == 1


def test_float32_in_float64(rng: np.random.Generator) -> None:
    """Truncated, rounded to float32 and widened again: refused, unless both precisions agree or one is stated."""
    widened = matrix_of_rank(rng, 6, 2).astype(np.float32).astype(np.float64)
    assert "float64 or float32" in error_message(definite_rank, "it", widened)
    assert definite_rank("it", widened, "float32") == 2
    assert definite_rank("it", widened, "float64") == 6
    assert definite_rank("it", rng.standard_normal((6, 6)).astype(np.float32).astype(np.float64)) == 6
    whole = np.array([[1000001.0, 1000000.0], [1000000.0, 999999.0]])  # determinant -1, exact in float32
    assert definite_rank("it", whole) == 2


def test_computed_matrices(rng: np.random.Generator) -> None:
    """Of a product the rounding is relative to its factors: nothing but rounding has rank 0."""
    basis = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    product = basis[:, :3].T @ basis[:, 3:]
    assert np.abs(product).max() > 0
    assert definite_rank("it", product, size=1.0) == 0
    assert definite_rank("it", 1e-3 * basis[:3, :3], size=1.0) == 3
    assert "rank of it" in error_message(definite_rank, "it", 3e-15 * np.eye(3), size=1.0)
    assert definite_rank("it", 3e-15 * np.eye(3), size=1.0, growth=100.0) == 0


def test_precisions() -> None:
    """The dtype says it, except float64, which may hold anything; the coarsest of several counts."""
    assert [precision_of(np.zeros(1, kind)) for kind in ("float64", "float32", "float16")] == [
        None,
        "float32",
        "float16",
    ]
    assert precision_of([1.0]) is None
    assert coarsest(None, None) is None
    assert coarsest("float64", None, "float32", "bfloat16", "float16") == "bfloat16"
