"""The noise of few demonstrations at bad condition numbers, against fifty digits: no step may square them.

A singular value σ_k of N centred rows is known to c ε |g|, ε the unit of rounding and |g|² = Σ_i |g_i|², when it is
computed from factors in double precision: products of D and sums of N terms carry (N + D) ε (Higham, Accuracy and
Stability, ch. 3), and there are four steps (factors, their spans, triangle, values), so c = 4 (N + D). Therefore
log pdet = 2 Σ log σ_k is known to 2 c ε Σ_k |g| / σ_k. A Gram matrix gives (|g| / σ_k)² instead.
"""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from exact_gradients import exact, exact_factors, exact_squares
from helpers import assert_close

from icl_theory import Model, NoiseCovariance, random_weights, truncate_weights, truncation_noise
from icl_theory.models.options import Matrix
from icl_theory.noise.covariance import gradient_noise, sampling_factor
from icl_theory.noise.gradient_rows import centred_values, clear_count
from icl_theory.noise.multi_head_support import ranks_of

EPS = float(np.finfo(float).eps)


def centred_squares(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Squared singular values of the centred gradients that are not rounding."""
    values, size = centred_values(left, right)
    return values[: clear_count("the rows", values, size, left.shape)] ** 2


def rounding(size: Any, count: int, dimension: int) -> float:
    """c ε |g|."""
    return 4 * (count + dimension) * EPS * float(size)


def unknown(values: list[Any], size: Any, dimension: int) -> float:
    """2 c ε Σ_k |g| / σ_k: what double precision leaves unknown of log pdet."""
    return 2 * rounding(size, len(values) + 1, dimension) * float(sum(1 / mp.sqrt(value) for value in values))


@pytest.mark.parametrize("module", ["value", "key", "query"])
def test_second_layer(module: Matrix) -> None:
    """Thirty models, σ_min / σ_max down to 4e-8: three methods agree on rank N - 1 = d_S and on log pdet.

    `random_weights(13, ...)`, W_V, is the case where Gram matrices gave rank 10 and -11.26 for 11 and -37.67.
    """
    count, dimension, shots, rank = 12, 6, 3, 2
    scale = sampling_factor(count, shots) / count
    with mp.workdps(50):
        for seed in range(30):
            model = random_weights(seed, layers=2, token_dim=dimension, scale=1.0)
            tokens = np.random.default_rng(seed).standard_normal((count, dimension))
            cut = truncate_weights(model, layer=1, module=module, rank=rank)
            values, size = exact_squares([exact_factors(cut, tokens, 1)])
            expected, known = float(sum(mp.log(scale * value) for value in values)), unknown(values, size, dimension)
            curve = truncation_noise(model, tokens, shots=shots, module=module, layer=1, ranks=[rank])
            noise = gradient_noise(cut, tokens, shots=shots, layer=1)
            bare = NoiseCovariance(noise.left, noise.right, shots)  # without coordinates of the support
            assert noise.coordinates is not None
            assert curve.dimension[0] == noise.rank == bare.rank == count - 1 == 2 * dimension - 1, seed
            for log in (curve.log_pseudo_determinant[0], noise.log_pseudo_determinant, bare.log_pseudo_determinant):
                assert log == pytest.approx(expected, abs=known), seed


@pytest.mark.parametrize("module", ["value", "key", "query"])
def test_few_demonstrations(rng: np.random.Generator, module: Matrix) -> None:
    """N = 4, D = 9: well conditioned but for the lowest ranks, so that Gram matrices serve most of the curve."""
    count, dimension, shots = 4, 9, 2
    model, tokens = random_weights(2, layers=1, token_dim=dimension), rng.standard_normal((count, dimension))
    curve = truncation_noise(model, tokens, shots=shots, module=module)
    scale = sampling_factor(count, shots) / count
    for rank, trace, log in zip(curve.ranks, curve.trace, curve.log_pseudo_determinant, strict=True):
        cut = truncate_weights(model, layer=0, module=module, rank=int(rank))
        with mp.workdps(50):
            values, size = exact_squares([exact_factors(cut, tokens, 0)])
            expected = float(sum(mp.log(scale * value) for value in values))
        # Where a Gram matrix is used, σ_min² is at least 1e-3 of |g|², which costs at most another factor of 1e1.5.
        assert log == pytest.approx(expected, abs=32 * unknown(values, size, dimension))
        assert trace == pytest.approx(scale * float(sum(values)), rel=1e-13)


def test_gram_is_not_enough() -> None:
    """Negative control: the eigenvalues of the centred Gram matrix miss the bound of the test above by far."""
    count, worst = 12, 0.0
    for seed in (13, 25, 26):
        full = random_weights(seed, layers=2, token_dim=6, scale=1.0)
        model = truncate_weights(full, layer=1, module="value", rank=2)
        tokens = np.random.default_rng(seed).standard_normal((count, 6))
        noise = gradient_noise(model, tokens, shots=3, layer=1)
        gram = (noise.left @ noise.left.T) * (noise.right @ noise.right.T)
        centring = np.eye(count) - 1 / count
        squares = np.linalg.eigvalsh(centring @ gram @ centring)[:0:-1]
        with mp.workdps(50):
            values, size = exact_squares([exact_factors(model, tokens, 1)])
            missed = abs(np.log(np.abs(squares)).sum() - float(sum(mp.log(value) for value in values)))
        worst = max(worst, missed / unknown(values, size, 6))
    assert worst > 100, worst


@pytest.mark.parametrize(
    ("heads", "count", "dimension"), [(1, 3, 3), (1, 5, 4), (1, 6, 9), (2, 5, 4), (2, 4, 9), (6, 3, 14)]
)
@pytest.mark.parametrize("spread", [1.0, 1e-1, 1e-3, 1e-5])
def test_graded_factors(rng: np.random.Generator, heads: int, count: int, dimension: int, spread: float) -> None:
    """Heads whose values fall from 1 to `spread` over the demonstrations: σ_k to c ε |g|.

    One block of rows or several; with `spread` 1 the Gram matrix is good enough and must contain all pairs of heads.
    """
    grades = np.geomspace(1, spread, count)[:, None]
    left, right = rng.standard_normal((2, heads, count, dimension)) * grades
    with mp.workdps(50):
        values, size = exact_squares([(exact(a), exact(b)) for a, b in zip(left, right, strict=True)])
        expected = np.sqrt(np.array([float(value) for value in values]))
    found = centred_squares(left, right)
    assert len(found) == count - 1
    np.testing.assert_allclose(np.sqrt(found), expected, rtol=0, atol=rounding(size, count, dimension))


@pytest.mark.parametrize("count", [3, 12])
def test_nearly_equal(rng: np.random.Generator, count: int) -> None:
    """Tokens that differ by 1e-6: |g_i - G| is 1e-6 of |g_i| and known to 1e-10, while Σ|g_i|² - N|G|² knows 1e-4."""
    gap, dimension = 1e-6, 6
    model = random_weights(1, layers=1, token_dim=dimension)
    tokens = rng.standard_normal(dimension) + gap * rng.standard_normal((count, dimension))
    with mp.workdps(50):
        values, size = exact_squares([exact_factors(model, tokens, 0)])
        expected = float(sum(values)) * sampling_factor(count, 2) / count
        known = 2 * rounding(size, count, dimension) * float(sum(map(mp.sqrt, values)) / sum(values))
    noise = gradient_noise(model, tokens, shots=2)
    bare = NoiseCovariance(noise.left, noise.right, 2)
    assert known < 1e-6
    assert noise.trace == pytest.approx(expected, rel=known, abs=0.0)
    assert bare.trace == pytest.approx(expected, rel=known, abs=0.0)
    curve = truncation_noise(model, tokens, shots=2, module="value", ranks=[dimension])
    assert curve.trace[0] == pytest.approx(expected, rel=known, abs=0.0)


def test_rounding_has_no_rank(rng: np.random.Generator) -> None:
    """Factors of low rank and repeated demonstrations leave fewer than N - 1 directions, whatever their scale."""
    left, right = rng.standard_normal((1, 7, 2)), rng.standard_normal((1, 7, 2))
    turn = [np.linalg.qr(rng.standard_normal((9, 9)))[0][:2] for _ in range(2)]
    for size in (1e-30, 1.0, 1e30):
        wide = centred_squares(size * left @ turn[0], right @ turn[1])  # 2 x 2 matrices in disguise
        assert_close(wide, size**2 * centred_squares(left, right), 1e-12)
        assert len(wide) == 4
    twice = np.concatenate([left @ turn[0]] * 2, axis=1), np.concatenate([right @ turn[1]] * 2, axis=1)
    assert_close(centred_squares(*twice), 2 * centred_squares(left, right), 1e-12)
    assert len(centred_squares(np.ones((1, 5, 8)), np.ones((1, 5, 8)))) == 0
    assert len(centred_squares(np.zeros((1, 5, 8)), np.ones((1, 5, 8)))) == 0


@pytest.mark.parametrize("small", [1e-8, 1e-10])
def test_small_gradients(small: float) -> None:
    """W_V = e₁e₁ᵀ + t I and W_KᵀW_Q = e₁e₁ᵀ: one direction of size 1 and six of size t, all of them real."""
    first = np.zeros((1, 8, 8))
    first[0, 0, 0] = 1.0
    model = Model.create(first + small * np.eye(8), first, first)
    tokens = np.random.default_rng(3).standard_normal((8, 8))
    noise = gradient_noise(model, tokens, shots=3)
    assert noise.coordinates is None  # d_S = 36 is far above N = 8
    assert noise.rank == 7
    assert noise.spectrum[1] < 1e3 * small**2 * noise.spectrum[0]


@pytest.mark.parametrize("small", [1e-8, 1e-10])
def test_small_heads(small: float) -> None:
    """X → X e₁e₁ᵀ + t X e₂e₂ᵀ: three numbers of X of size 1, and two more of size t."""
    left = np.stack([np.eye(3), small * np.eye(3)])
    right = np.stack([np.diag([1.0, 0, 0]), np.diag([0, 1.0, 0])])
    assert ranks_of(left, right).dimension == 5
