"""Truncation of one matrix to every rank, plainly and in metrics of its inputs and outputs, singular ones too."""

import itertools
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, best_rank_by_alternation, error_message
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import Truncations, truncate


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
    metrics: tuple[dict[str, Any], ...] = ({}, {"inputs": metric, "outputs": metric})
    for options in metrics:
        np.testing.assert_array_equal(truncate(matrix, 0, **options).matrix, np.zeros((4, 4)))
        assert_close(truncate(matrix, 4, **options).matrix, matrix, 1e-10)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_whitened(rng: np.random.Generator, rank: int) -> None:
    """Λ^{1/2} is replaced by a Cholesky factor R, Λ = R Rᵀ: the norm ||Rᵀ (W - W_r) R|| is the same."""
    matrix, factor = rng.standard_normal((4, 4)), np.tril(rng.standard_normal((4, 4))) + 2 * np.eye(4)
    metric = factor @ factor.T
    result = truncate(matrix, rank, inputs=metric, outputs=metric)
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
    assert_close(truncate(matrix, 2, inputs=np.eye(4), outputs=np.eye(4)).matrix, truncate(matrix, 2).matrix, 1e-10)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_error_and_scale(seed: int, rank: int) -> None:
    """Error falls with rank and scale commutes."""
    matrix = np.random.default_rng(seed).standard_normal((3, 5))
    error = [np.linalg.norm(matrix - truncate(matrix, r).matrix) for r in range(4)]
    assert all(later < earlier for earlier, later in itertools.pairwise(error))
    assert_close(truncate(-3 * matrix, rank).matrix, -3 * truncate(matrix, rank).matrix, 1e-10)
    assert_close(truncate(matrix.T, rank).matrix, truncate(matrix, rank).matrix.T, 1e-10)


def test_truncation_errors(rng: np.random.Generator) -> None:
    """Ranks, matrices and metrics that do not fit."""
    matrix = rng.standard_normal((3, 4))
    for rank in (-1, 4, 1.0, True):
        assert "rank" in error_message(truncate, matrix, rank)
    assert "matrix" in error_message(truncate, matrix[0], 1)
    assert "matrix" in error_message(truncate, matrix * np.nan, 1)
    for name, size in (("inputs", 4), ("outputs", 3)):
        assert name in error_message(truncate, matrix, 1, **{name: np.eye(7 - size)})
        assert "eigenvalue" in error_message(truncate, matrix, 1, **{name: np.diag([*np.ones(size - 1), -1.0])})
        assert "symmetric" in error_message(truncate, matrix, 1, **{name: np.eye(size) + np.eye(size, k=1)})
    for rank in (-5, 4):
        with pytest.raises(IndexError, match="ranks 0 to 3"):
            Truncations(matrix)[rank]


METRICS = [("inputs",), ("outputs",), ("inputs", "outputs")]


@pytest.mark.parametrize("names", METRICS)
@pytest.mark.parametrize("seen", [1, 2, 3])
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (3, 3)])
def test_singular_metrics(rng: np.random.Generator, shape: tuple[int, int], seen: int, names: tuple[str, ...]) -> None:
    """The error is the least there is at every rank, the rank is right, and the full rank is the matrix itself."""
    matrix = rng.standard_normal(shape)
    factors = {name: rng.standard_normal((shape[name == "inputs"], seen)) for name in names}
    metrics: dict[str, Any] = {name: factor @ factor.T for name, factor in factors.items()}
    every = Truncations(matrix, **metrics)
    left = factors.get("outputs", np.eye(shape[0])).T
    right = factors.get("inputs", np.eye(shape[1]))
    for rank, cut in enumerate(every):
        assert np.linalg.matrix_rank(cut.matrix, tol=1e-9) == rank
        error = left @ (matrix - cut.matrix) @ right
        oracle = left @ matrix @ right
        oracle = oracle - best_rank_by_alternation(oracle, min(rank, *oracle.shape), rng)
        rounding = float(1e-13 * np.linalg.norm(left) * np.linalg.norm(matrix) * np.linalg.norm(right))
        least = pytest.approx(np.linalg.norm(oracle), rel=1e-9, abs=rounding)
        assert np.linalg.norm(error) == least
        assert np.linalg.norm(cut.dropped) == least
        assert_close(matrix @ every.right_map(rank), cut.matrix, 1e-10)
        if rank < min(shape):
            assert np.linalg.matrix_rank(every.right_map(rank), tol=1e-9) == rank
    np.testing.assert_array_equal(every[-1].matrix, matrix)


def test_leading_eigenvectors(rng: np.random.Generator) -> None:
    """With a metric of the inputs alone W_r = U_r U_rᵀ W, U_r the leading eigenvectors of W C Wᵀ."""
    matrix, factor = rng.standard_normal((3, 5)), rng.standard_normal((5, 5))
    moment = factor @ factor.T
    vectors = np.linalg.eigh(matrix @ moment @ matrix.T)[1][:, 1:]
    assert_close(truncate(matrix, 2, inputs=moment).matrix, vectors @ vectors.T @ matrix, 1e-10)
    plain = truncate(matrix, 2).matrix
    tokens = np.linalg.cholesky(moment)
    errors = [np.linalg.norm((matrix - cut) @ tokens) for cut in (plain, vectors @ vectors.T @ matrix)]
    assert errors[0] > 1.01 * errors[1]


def test_unseen_directions() -> None:
    """What the data do not see is kept by its size in the matrix; no data at all is the plain truncation."""
    matrix, moment = np.diag([1.0, 2.0, 3.0, 4.0]), np.diag([1.0, 0.0, 0.0, 0.0])
    every = Truncations(matrix, inputs=moment)
    assert [np.diag(cut.matrix).tolist() for cut in every] == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 4],
        [1, 0, 3, 4],
        [1, 2, 3, 4],
    ]
    assert [cut.note[:10] for cut in every] == ["", "", "the data s", "the data s", ""]
    blind = Truncations(matrix, inputs=0 * moment, outputs=0 * moment)
    for cut, plain in zip(blind, Truncations(matrix), strict=True):
        assert_close(cut.matrix, plain.matrix, 1e-12)
    # An eigenvalue of rounding size is none: its root, 1e-8, would be.
    noisy = moment + 1e-17 * np.diag([0.0, 1.0, 1.0, 1.0])
    assert_close(truncate(matrix, 2, inputs=noisy).matrix, every[2].matrix, 1e-12)


def test_equal_singular_values() -> None:
    """The note says where two singular values are equal, and only there."""
    notes = [cut.note for cut in Truncations(np.diag([2.0, 1.0, 1.0, 0.0]))]
    assert [bool(note) for note in notes] == [False, False, True, False, False]
    assert "2 and 3 are equal" in notes[2]
    notes = [cut.note for cut in Truncations(np.diag([2.0, 1.0, 0.5]), inputs=np.diag([1.0, 1.0, 4.0]))]
    assert [bool(note) for note in notes] == [False, False, True, False]
    assert not truncate(np.diag([1.0 + 1e-9, 1.0]), 1).note
    assert [cut.note for cut in Truncations(np.diag([2.0, 0.0, 0.0]))] == [""] * 4


def test_sequence(rng: np.random.Generator) -> None:
    """Every rank by index, from the end and by slice."""
    matrix = rng.standard_normal((3, 2))
    every = Truncations(matrix)
    assert len(every) == 3
    assert_close(every[-2].matrix, truncate(matrix, 1).matrix, 1e-12)
    assert [len(cut.kept) for cut in every[1:]] == [1, 2]


@pytest.mark.parametrize("rank", range(4))
@pytest.mark.parametrize("shape", [(4, 3), (3, 4)])
def test_smallest(rng: np.random.Generator, shape: tuple[int, int], rank: int) -> None:
    """What the largest leave, turned round: W less the best of rank side - r, and at full rank W itself."""
    matrix = rng.standard_normal(shape)
    found, rest = truncate(matrix, rank, components="smallest"), truncate(matrix, 3 - rank)
    assert_close(found.matrix, matrix - rest.matrix, 1e-10)
    assert_close(found.kept, rest.dropped)
    assert_close(found.dropped, rest.kept)
    assert found.note == ""
    assert_close(matrix @ Truncations(matrix, components="smallest").right_map(rank), found.matrix, 1e-10)


def test_smallest_of_low_rank(rng: np.random.Generator) -> None:
    """Components that are zero count: two of four are dropped before anything of a rank of two is kept."""
    matrix = rng.standard_normal((4, 2)) @ rng.standard_normal((2, 4))
    np.testing.assert_array_equal(truncate(matrix, 2, components="smallest").matrix, np.zeros((4, 4)))
    third = truncate(matrix, 3, components="smallest")
    assert np.linalg.matrix_rank(third.matrix, tol=1e-12) == 1
    assert third.note == ""
    assert_close(matrix @ Truncations(matrix, components="smallest").right_map(3), third.matrix, 1e-10)
    assert "equal" in truncate(np.eye(3), 1, components="smallest").note
    assert "'smallest' with a metric" in error_message(truncate, matrix, 1, inputs=np.eye(4), components="smallest")
