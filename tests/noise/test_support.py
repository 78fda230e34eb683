"""The space V = {A X B : X symmetric}: its dimension, and orthonormal coordinates on it."""

import itertools

import mpmath as mp
import numpy as np
import pytest
from helpers import (
    assert_close,
    dense_support_dimension,
    error_message,
    matrix_of_rank,
    support_matrix,
)
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import support_dimension
from icl_theory.core.symmetric import outer_coordinates, symmetric_coordinates, symmetric_pairs
from icl_theory.noise.support import Support, factor_ranks
from icl_theory.noise.support_points import token_span

D = 4
RANKS = list(itertools.product(range(D + 1), repeat=2))
ALIGNED = [(1, 1, 0, 0), (0, 0, 1, 1), (1, 0, 1, 0), (1, 1, 1, 0), (1, 1, 1, 1)]


def pair(rng: np.random.Generator, left: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    return matrix_of_rank(rng, D, left), matrix_of_rank(rng, D, right)


def symmetric(rng: np.random.Generator, size: int = D) -> np.ndarray:
    root = rng.standard_normal((size, size))
    return root + root.T


@pytest.mark.parametrize(("left", "right"), RANKS)
def test_generic_pairs(rng: np.random.Generator, left: int, right: int) -> None:
    """Dimension of generic pairs."""
    a, b = pair(rng, left, right)
    overlap = max(0, left + right - D)
    expected = left * right - overlap * (overlap - 1) // 2
    assert support_dimension(a, b) == expected == dense_support_dimension(a, b)


def test_truncated_values(rng: np.random.Generator) -> None:
    """Dimension for full and truncated value matrices."""
    a, b = pair(rng, D, D)
    assert support_dimension(a, b) == D * (D + 1) // 2
    for rank in range(D + 1):
        assert support_dimension(matrix_of_rank(rng, D, rank), b) == rank * D - rank * (rank - 1) // 2


@pytest.mark.parametrize(("value", "key", "query"), list(itertools.product((1, 2, 3, 4), repeat=3)))
def test_truncated_weights(rng: np.random.Generator, value: int, key: int, query: int) -> None:
    """A = W_V M, B = Mᵀ W_Kᵀ W_Q M with every combination of ranks, M generic."""
    w_v, w_k, w_q = (matrix_of_rank(rng, D, rank) for rank in (value, key, query))
    m = np.eye(D) + 0.3 * rng.standard_normal((D, D))
    a, b = w_v @ m, m.T @ w_k.T @ w_q @ m
    assert support_dimension(a, b) == dense_support_dimension(a, b)


def test_aligned_spaces() -> None:
    """Not generic: k is the overlap found, not the one expected of random spaces."""
    for left, right in itertools.product(ALIGNED, repeat=2):
        a, b = np.diag(np.array(left, dtype=float)), np.diag(np.array(right, dtype=float))
        k = int(np.dot(left, right))
        expected = sum(left) * sum(right) - k * (k - 1) // 2
        assert support_dimension(a, b) == expected == dense_support_dimension(a, b)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_token_subspace(rng: np.random.Generator, size: int) -> None:
    """Dimension with tokens in a subspace."""
    tokens = rng.standard_normal((9, size)) @ rng.standard_normal((size, D))
    basis, inner = token_span(tokens)
    assert basis.shape == (D, size)
    assert_close(inner @ basis.T, tokens, 1e-12)
    assert_close(inner.T @ inner / 9, np.eye(size), 1e-12)
    for left, right in RANKS:
        a, b = pair(rng, left, right)
        assert support_dimension(a, b, tokens) == dense_support_dimension(a, b, tokens)


def test_noise_free_labels(rng: np.random.Generator) -> None:
    """Labels of one task without noise keep the tokens in d_x dimensions."""
    x = rng.standard_normal((12, D - 1))
    tokens = np.column_stack([x, x @ rng.standard_normal(D - 1)])
    assert support_dimension(*pair(rng, D, D), tokens) == (D - 1) * D // 2


def test_no_tokens(rng: np.random.Generator) -> None:
    """Dimension of no tokens at all."""
    assert support_dimension(*pair(rng, D, D), np.zeros((3, D))) == 0


@pytest.mark.parametrize("side", ["left", "right"])
def test_annihilated_tokens(rng: np.random.Generator, side: str) -> None:
    """A h = 0 for every token up to rounding: the rounding must not count as a direction."""
    basis = np.linalg.qr(rng.standard_normal((D, D)))[0]
    tokens = rng.standard_normal((9, 2)) @ basis[:, :2].T
    a, b = pair(rng, D, D)
    if side == "left":
        a = a @ basis[:, 2:] @ basis[:, 2:].T
    else:
        b = basis[:, 2:] @ basis[:, 2:].T @ b
    assert dense_support_dimension(a, b, tokens) == 0
    assert support_dimension(a, b, tokens) == 0


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_scale(seed: int, first: float, second: float) -> None:
    """Dimension does not depend on scale."""
    rng = np.random.default_rng(seed)
    a, b = pair(rng, 3, 2)
    assert support_dimension(first * a, second * b) == 3 * 2


def check_isometry(rng: np.random.Generator, a: np.ndarray, b: np.ndarray) -> None:
    """matrix(), coordinates(), project() and embed() agree with the dense A X B."""
    support = Support.of(a, b)
    assert support.dimension == dense_support_dimension(a, b)
    h, x = rng.standard_normal((5, D)), symmetric(rng)
    dense = np.array([a @ np.outer(t, t) @ b for t in h])
    coordinates = support.coordinates(h)
    assert coordinates.shape == (5, support.dimension)
    inner = np.einsum("nij,mij->nm", dense, dense)
    assert_close(coordinates @ coordinates.T, inner, 1e-10)
    z = support.matrix() @ symmetric_coordinates(x)
    assert_close(z @ z, np.array(((a @ x @ b) ** 2).sum()), 1e-10)
    assert_close(support.embed(z), a @ x @ b, 1e-10)
    assert_close(support.project(a @ x @ b), z, 1e-10)
    assert_close(support.embed(coordinates), dense, 1e-10)
    assert_close(support.matrix() @ symmetric_coordinates(h[0][:, None] * h[0]), coordinates[0], 1e-10)


@pytest.mark.parametrize(("left", "right"), [ranks for ranks in RANKS if min(ranks) > 0])
def test_isometry(rng: np.random.Generator, left: int, right: int) -> None:
    """Coordinates are an isometry."""
    check_isometry(rng, *pair(rng, left, right))


@pytest.mark.parametrize("right", ALIGNED)
@pytest.mark.parametrize("left", ALIGNED)
def test_aligned_isometry(rng: np.random.Generator, left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """Row space of A and column space of B share exactly the directions named in both, in a rotated basis."""
    basis = np.linalg.qr(rng.standard_normal((D, D)))[0]
    a = rng.standard_normal((D, D)) @ (basis * left).T
    b = (basis * right) @ rng.standard_normal((D, D))
    k = int(np.dot(left, right))
    assert support_dimension(a, b) == sum(left) * sum(right) - k * (k - 1) // 2
    check_isometry(rng, a, b)


@pytest.mark.parametrize(("left", "right"), [(4, 4), (2, 4), (4, 3), (2, 2), (3, 2), (1, 1)])
def test_embed_and_project(rng: np.random.Generator, left: int, right: int) -> None:
    """embed is an isometry onto V, project its inverse there and the orthogonal projection elsewhere."""
    a, b = pair(rng, left, right)
    support = Support.of(a, b)
    z = rng.standard_normal((3, support.dimension))
    embedded = support.embed(z)
    assert_close((embedded**2).sum(axis=(1, 2)), (z**2).sum(axis=1), 1e-10)
    assert_close(support.project(embedded), z, 1e-10)
    columns = support_matrix(a, b)
    u, s, _ = np.linalg.svd(columns, full_matrices=False)
    basis = u[:, s > 1e-9 * s[0]]
    target = rng.standard_normal((D, D))
    expected = (basis @ (basis.T @ target.ravel())).reshape(D, D)
    assert_close(support.embed(support.project(target)), expected, 1e-9)


def test_stack_of_pairs(rng: np.random.Generator) -> None:
    """A stack of pairs is each pair."""
    pairs = [pair(rng, 3, 2) for _ in range(4)]
    a, b = np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])
    stack = Support.of(a, b, factor_ranks(a[0], b[0]))
    x = symmetric(rng)
    z = stack.matrix() @ symmetric_coordinates(x)
    assert z.shape == (4, 6)
    assert_close(stack.embed(z), a @ x @ b, 1e-10)
    tokens = rng.standard_normal((4, 5, D))
    dense = np.einsum("sij,snj,snk,skm->snim", a, tokens, tokens, b)
    assert_close(np.linalg.norm(stack.coordinates(tokens), axis=-1), np.linalg.norm(dense, axis=(-2, -1)), 1e-10)


def test_ill_conditioned(rng: np.random.Generator) -> None:
    """Singular values over ten decades: each squared norm is right relative to itself."""
    turn = np.linalg.qr(rng.standard_normal((D, D)))[0]
    a = np.diag([1.0, 1e-3, 1e-5, 1e-8])
    b = turn @ np.diag([1.0, 1.0, 0.5, 0.3])
    support = Support.of(a, b)
    z = np.linalg.norm(support.coordinates(np.eye(D)), axis=-1)
    expected = np.diag(a) * np.linalg.norm(b, axis=1)
    assert (np.abs(z - expected) <= 1e-6 * expected).all()


def test_restricted_factors(rng: np.random.Generator) -> None:
    """On the span of the tokens A is (D, q) and B is (q, D)."""
    a, b = pair(rng, 3, 4)
    basis = np.linalg.qr(rng.standard_normal((D, 2)))[0]
    support = Support.of(a @ basis, basis.T @ b)
    tokens = rng.standard_normal((6, 2))
    dense = np.array([a @ basis @ np.outer(t, t) @ basis.T @ b for t in tokens])
    assert support.dimension == 3
    assert_close(support.embed(support.coordinates(tokens)), dense, 1e-10)


def test_symmetric_norm(rng: np.random.Generator) -> None:
    """Symmetric coordinates keep the norm."""
    x = np.array([symmetric(rng), symmetric(rng)])
    assert symmetric_coordinates(x).shape == (2, 10)
    assert_close((symmetric_coordinates(x) ** 2).sum(axis=1), (x**2).sum(axis=(1, 2)))


def test_outer_coordinates(rng: np.random.Generator) -> None:
    """Outer coordinates are those of the outer product."""
    v = rng.standard_normal((3, 5, 4))
    before = v.copy()
    assert_close(outer_coordinates(v), symmetric_coordinates(v[..., :, None] * v[..., None, :]))
    np.testing.assert_array_equal(v, before)


@pytest.mark.parametrize("small", [1e-5, 1e-9])
def test_small_sines(rng: np.random.Generator, small: float) -> None:
    """B with singular values from 1 to `small`: sines whose cosines are 1 in double precision; log |det| exact.

    Against the Gram determinant of the images with fifty digits, and within the error that the support states.
    """
    u, v = np.linalg.qr(rng.standard_normal((2, D, D)))[0]
    a, b = rng.standard_normal((D, D)), (u * np.geomspace(1, small, D)) @ v
    support = Support.of(a, b)
    with mp.workdps(50):
        left, right, columns = mp.matrix(a.tolist()), mp.matrix(b.tolist()), []
        for i, j, weight in zip(*symmetric_pairs(D), strict=True):
            unit = mp.zeros(D)
            unit[i, j] = unit[j, i] = 1 if i == j else mp.sqrt(2) / 2
            columns.append([*(left * unit * right)])
            assert weight in (1.0, np.sqrt(2.0))
        images = mp.matrix(columns)
        expected = float(mp.log(mp.det(images * images.T)) / 2)
    assert support.log_volume is not None
    assert abs(float(support.log_volume) - expected) <= max(1e-12, 5 * (D + 1) * float(support.doubt))
    assert float(support.doubt) < 1e-5


def test_support_errors(rng: np.random.Generator) -> None:
    """Shapes that do not fit, NaN and infinity."""
    a, b = pair(rng, D, D)
    assert "left" in error_message(support_dimension, a[0], b)
    assert "left" in error_message(support_dimension, a * np.nan, b)
    assert "right" in error_message(support_dimension, a, b[:-1])
    assert "right" in error_message(support_dimension, a, b * np.inf)
    assert "tokens" in error_message(support_dimension, a, b, np.ones((3, D + 1)))
    assert "tokens" in error_message(support_dimension, a, b, np.ones(D))
    assert "tokens" in error_message(support_dimension, a, b, np.full((3, D), np.nan))
