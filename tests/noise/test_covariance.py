"""The covariance of the implicit gradient, against its definition and against every subset of demonstrations."""

import mpmath as mp
import numpy as np
import pytest
from helpers import (
    assert_close,
    assert_mean,
    covariance_by_definition,
    covariance_by_enumeration,
    dense_support_dimension,
    error_message,
    gradients,
    matrix_of_rank,
    nonzero_spectrum,
    random_matrices,
)

from icl_theory import Model, NoiseCovariance, gradient_noise, implicit_trajectory, support_dimension
from icl_theory.noise.covariance import layer_factors, sampling_factor
from icl_theory.noise.support import Support
from icl_theory.noise.support_points import support_points, token_span

N, D, LAYERS = 6, 3, 3
FULL = D * (D + 1) // 2


def make(rng: np.random.Generator, scale: float = 1.0) -> Model:
    return Model.create(*random_matrices(rng, LAYERS, D, scale))


def both_methods(model: Model, tokens: np.ndarray, shots: int) -> list[NoiseCovariance]:
    """The same covariance of layer 1 from the N gradients and from coordinates of the support."""
    left = tokens @ model.value[0].T
    right = tokens @ model.key[0].T @ model.query[0]
    points = support_points(model, 0, np.eye(D), token_span(tokens), layer_factors(model, 0, np.zeros((D, D))))
    return [NoiseCovariance(left, right, shots), NoiseCovariance(left, right, shots, *points)]


@pytest.mark.parametrize("shots", [1, 2, 3, 4, 5, 6])
def test_every_subset(rng: np.random.Generator, shots: int) -> None:
    """Covariance is that of every subset."""
    model, tokens = make(rng), rng.standard_normal((N, D))
    expected = covariance_by_enumeration(gradients(model, tokens, 0), shots)
    noise = gradient_noise(model, tokens, shots=shots)
    if shots == N:
        np.testing.assert_array_equal(noise.dense(), np.zeros((D * D, D * D)))
        assert np.abs(expected).max() < 1e-25
    else:
        assert_close(noise.dense(), expected)
        assert_close(covariance_by_definition(gradients(model, tokens, 0), shots), expected)


@pytest.mark.parametrize("layer", [0, 1, 2])
def test_deeper_layers(rng: np.random.Generator, layer: int) -> None:
    """Deeper layers at fixed M."""
    model, tokens = make(rng), rng.standard_normal((N, D))
    per_token = gradients(model, tokens, layer)
    noise = gradient_noise(model, tokens, shots=2, layer=layer)
    assert_close(noise.dense(), covariance_by_definition(per_token, 2))
    path = implicit_trajectory(model, tokens)
    assert_close(path.gradient[layer], per_token.mean(axis=0))
    assert_close(np.einsum("ni,nj->ij", noise.left, noise.right) / N, path.gradient[layer])
    a, b = layer_factors(model, layer, path.accumulated[layer])
    assert_close(np.array([a @ np.outer(h, h) @ b for h in tokens]), per_token)


def test_linear_mlp(rng: np.random.Generator) -> None:
    """The factor of a linear MLP is part of the gradients."""
    model, tokens = make(rng), rng.standard_normal((N, D))
    inner, outer = rng.standard_normal((LAYERS, 4, D)), rng.standard_normal((LAYERS, D, 4))
    model = Model.create(model.value, model.key, model.query, 0.3 * inner, outer)
    bare = Model.create(model.left_factor(), model.key, model.query)
    for layer in (0, 1):
        expected = covariance_by_definition(gradients(bare, tokens, layer), 2)
        assert_close(gradient_noise(model, tokens, shots=2, layer=layer).dense(), expected)


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("demonstrations", [4, 6, 40])
def test_spectrum_against_dense(rng: np.random.Generator, demonstrations: int, layer: int) -> None:
    """Rank, trace and both log-determinants, with fewer and with more demonstrations than coordinates."""
    model, tokens = make(rng), rng.standard_normal((demonstrations, D))
    noise = gradient_noise(model, tokens, shots=2, layer=layer)
    check_against_dense(noise, gradients(model, tokens, layer), min(demonstrations - 1, FULL))


def check_against_dense(noise: NoiseCovariance, per_token: np.ndarray, rank: int) -> None:
    """Against the D² x D² covariance of two shots with forty digits. Float64 knows σ_k to c ε |g|, c = 10 (N + D).

    Seven products of matrices make the g_i (W_V M h, and Mᵀ W_Kᵀ W_Q M h), three more their singular values.
    """
    mp.mp.dps, count = 40, len(per_token)
    rows = mp.matrix(per_token.reshape(count, -1).tolist())
    centred = rows - mp.ones(count) * rows / count
    dense = centred.T * centred * (mp.mpf(count - 2) / (2 * (count - 1) * count))
    exact = sorted((max(value, mp.mpf(0)) for value in mp.eigsy(dense, eigvals_only=True)), reverse=True)
    assert noise.rank == rank == sum(value > mp.mpf(10) ** -25 for value in exact)
    values = np.array([float(value) for value in exact[:rank]])
    volume, factor = float(sum(mp.log(value) for value in exact[:rank])), (count - 2) / (2 * (count - 1) * count)
    rounding = 10 * (count + D) * np.finfo(float).eps * np.sqrt(factor) * np.linalg.norm(per_token)
    known = 2 * rounding * (1 / np.sqrt(values)).sum()
    np.testing.assert_allclose(np.sqrt(noise.spectrum), np.sqrt(values), rtol=0, atol=rounding)
    assert noise.trace == pytest.approx(values.sum(), abs=2 * rounding * np.sqrt(values).sum())
    assert noise.log_pseudo_determinant == pytest.approx(volume, abs=known)
    for floor in (1e-6, 0.5):
        full = float(mp.log(mp.det(dense + mp.mpf(floor) * mp.eye(dense.rows))))
        assert noise.log_determinant(floor) == pytest.approx(full, abs=known)
        part = full - (dense.rows - FULL) * np.log(floor)
        assert noise.log_determinant(floor, FULL) == pytest.approx(part, abs=known)
    assert noise.log_determinant(0.0) == -np.inf
    assert noise.log_determinant(0.0, rank) == pytest.approx(volume, abs=known)


@pytest.mark.parametrize("demonstrations", [3, 6, 7, 8, 25])
def test_both_methods(rng: np.random.Generator, demonstrations: int) -> None:
    """Gradients and coordinates agree."""
    model, tokens = make(rng), rng.standard_normal((demonstrations, D))
    plain, coordinates = both_methods(model, tokens, 2)
    assert plain.coordinates is None
    assert coordinates.coordinates is not None
    for noise in (plain, coordinates):
        check_against_dense(noise, gradients(model, tokens, 0), min(demonstrations - 1, FULL))


def test_choice_of_method(rng: np.random.Generator) -> None:
    """Many coordinates and few demonstrations go through the gradients, the reverse through the support."""
    wide = Model.create(*random_matrices(rng, 1, 8))
    assert gradient_noise(wide, rng.standard_normal((5, 8)), shots=2).coordinates is None
    assert gradient_noise(wide, rng.standard_normal((40, 8)), shots=2).coordinates is not None


@pytest.mark.parametrize("demonstrations", [4, 30])
@pytest.mark.parametrize(("value", "key", "query"), [(1, 3, 3), (2, 3, 3), (3, 1, 3), (3, 3, 2), (2, 2, 3)])
def test_truncated_weights(rng: np.random.Generator, value: int, key: int, query: int, demonstrations: int) -> None:
    """Rank and log pdet for every combination of ranks, by both methods."""
    ranks = (value, key, query)
    model = Model.create(*(matrix_of_rank(rng, D, rank) for rank in ranks))
    tokens = rng.standard_normal((demonstrations, D))
    a, b = model.value[0], model.key[0].T @ model.query[0]
    dimension = dense_support_dimension(a, b)
    assert support_dimension(a, b) == dimension
    for noise in both_methods(model, tokens, 2):
        assert noise.rank == min(demonstrations - 1, dimension)
        per_token = gradients(model, tokens, 0)
        values = nonzero_spectrum(per_token, 2, noise.rank)
        # Both know σ_k to c ε |g|, c = 4 (N + D), and log pdet is 2 Σ log σ_k.
        size = np.sqrt(noise.factor / demonstrations) * np.linalg.norm(per_token)
        known = 2 * 8 * (demonstrations + D) * np.finfo(float).eps * (size / np.sqrt(values)).sum()
        assert noise.log_pseudo_determinant == pytest.approx(np.log(values).sum(), abs=known)


@pytest.mark.parametrize("layer", [0, 1])
def test_tokens_in_a_subspace(rng: np.random.Generator, layer: int) -> None:
    """Noise-free labels of one task: the covariance lives on d_x (d_x + 1) / 2 coordinates."""
    x = rng.standard_normal((20, D - 1))
    tokens = np.column_stack([x, x @ rng.standard_normal(D - 1)])
    noise = gradient_noise(make(rng), tokens, shots=2, layer=layer)
    assert noise.rank == (D - 1) * D // 2


def test_never_definite(rng: np.random.Generator) -> None:
    """However many demonstrations, the rank stays below D²; only D = 1 escapes."""
    assert gradient_noise(make(rng), rng.standard_normal((500, D)), shots=5).rank == FULL < D * D
    one = Model.create(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))
    assert gradient_noise(one, rng.standard_normal((5, 1)), shots=1).rank == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([1.0, 1e-3, 1e-6], [1.0, 1.0, 1.0]),
        ([1.0, 1.0, 1.0], [1.0, 1e-3, 1e-6]),
        ([1.0, 1e-3, 1e-5], [1.0, 1e-3, 1e-5]),
    ],
)
def test_ill_conditioned(rng: np.random.Generator, first: list[float], second: list[float]) -> None:
    """A = Q diag(a), B = diag(b) R: log det_V C is shifted by a known amount, and no direction is lost."""
    a, b, tokens = np.array(first), np.array(second), rng.standard_normal((40, D))
    turns = [np.linalg.qr(rng.standard_normal((D, D)))[0] for _ in range(2)]
    plain = Model.create(turns[0], np.eye(D), turns[1])
    scaled = Model.create(turns[0] * a, np.eye(D), b[:, None] * turns[1])
    shift = 0.0
    for i in range(D):
        for j in range(i, D):
            shift += np.log(((a[i] * b[j]) ** 2 + (a[j] * b[i]) ** 2) / 2)
    noise = gradient_noise(scaled, tokens, shots=2)
    assert noise.rank == FULL
    expected = gradient_noise(plain, tokens, shots=2).log_pseudo_determinant + shift
    assert noise.log_pseudo_determinant == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("demonstrations", [4, 30])
def test_samples(rng: np.random.Generator, demonstrations: int) -> None:
    """Samples have the covariance and live in the support."""
    model, tokens = make(rng), rng.standard_normal((demonstrations, D))
    noise = gradient_noise(model, tokens, shots=2, layer=1)
    draws = noise.sample(3, 40_000)
    assert draws.shape == (40_000, D, D)
    flat = draws.reshape(len(draws), -1)
    dense = covariance_by_definition(gradients(model, tokens, 1), 2)
    assert_mean(flat, 0.0)
    assert_mean(np.einsum("ni,nj->nij", flat, flat), dense)
    # Gaussian, not merely of the right covariance: the fourth moment of one entry.
    assert_mean(flat[:, 0] ** 4, 3 * dense[0, 0] ** 2)
    support = Support.of(*layer_factors(model, 1, implicit_trajectory(model, tokens).accumulated[1]))
    few = draws[:20]
    assert_close(support.embed(support.project(few)), few, 1e-9)
    np.testing.assert_array_equal(noise.sample(3, 2), noise.sample(3, 2))
    assert np.abs(noise.sample(3, 2) - noise.sample(4, 2)).max() > 0


def test_no_choice(rng: np.random.Generator) -> None:
    """b = N: no noise at all, by either method."""
    for noise in both_methods(make(rng), rng.standard_normal((N, D)), N):
        assert (noise.rank, noise.trace, noise.log_pseudo_determinant) == (0, 0.0, 0.0)
        assert noise.log_determinant(0.5) == pytest.approx(D * D * np.log(0.5))
        np.testing.assert_array_equal(noise.sample(0, 2), np.zeros((2, D, D)))


@pytest.mark.parametrize("demonstrations", [3, 7, 30])
def test_equal_demonstrations(rng: np.random.Generator, demonstrations: int) -> None:
    """Every subset shows the same, so C = 0: rounding must not count as rank."""
    tokens = np.repeat(rng.standard_normal((1, D)), demonstrations, axis=0)
    for noise in both_methods(make(rng), tokens, 2):
        assert noise.rank == 0
        assert noise.log_pseudo_determinant == 0.0
        assert noise.log_determinant(0.0, 1) == -np.inf


@pytest.mark.parametrize("demonstrations", [5, 7, 30])
def test_constant_feature(rng: np.random.Generator, demonstrations: int) -> None:
    """A feature of fixed size, ±0.3: its square does not vary, so one coordinate of S carries no noise."""
    tokens = rng.standard_normal((demonstrations, D))
    tokens[:, 0] = 0.3 * np.sign(tokens[:, 0])
    eye = Model.create(np.eye(D), np.eye(D), np.eye(D))
    dense = covariance_by_definition(gradients(eye, tokens, 0), 2)
    expected = int(np.linalg.matrix_rank(dense, tol=1e-10))
    assert expected == min(demonstrations - 1, FULL - 1)
    for noise in both_methods(eye, tokens, 2):
        assert noise.rank == expected


def test_sampling_factor() -> None:
    """(N - b) / (b (N - 1)) at N = 10."""
    assert sampling_factor(10, 3) == pytest.approx(7 / 27)
    assert sampling_factor(10, 10) == 0.0
    assert sampling_factor(10, 1) == 1.0


def test_scale_of_the_weights(rng: np.random.Generator) -> None:
    """C is tied to G: weights times c multiply both alike, so rank stays and log det shifts by 2 d_S log c."""
    model, tokens = make(rng), rng.standard_normal((30, D))
    first = gradient_noise(model, tokens, shots=2)
    second = gradient_noise(model.replace(value=-7.0 * model.value), tokens, shots=2)
    assert second.rank == first.rank
    expected = first.log_pseudo_determinant + 2 * FULL * np.log(7.0)
    assert second.log_pseudo_determinant == pytest.approx(expected, abs=1e-9)


def test_noise_errors(rng: np.random.Generator) -> None:
    """Tokens, shots, layers, models, floors and dimensions that do not fit."""
    model, tokens = make(rng), rng.standard_normal((N, D))
    assert "tokens" in error_message(gradient_noise, model, tokens[:1], shots=1)
    assert "tokens" in error_message(gradient_noise, model, tokens[0], shots=1)
    assert "tokens" in error_message(gradient_noise, model, tokens * np.nan, shots=1)
    assert "token dimension" in error_message(gradient_noise, model, tokens[:, :-1], shots=1)
    for shots in (0, N + 1, 2.0, True):
        assert "shots" in error_message(gradient_noise, model, tokens, shots=shots)
    for layer in (-1, LAYERS, 0.0):
        assert "layer" in error_message(gradient_noise, model, tokens, shots=2, layer=layer)
    ensemble = Model(*(np.stack([a, a]) for a in (model.value, model.key, model.query)))
    assert "member" in error_message(gradient_noise, ensemble, tokens, shots=2)
    noise = gradient_noise(model, tokens, shots=2)
    for floor in (-1.0, np.nan, np.inf, "0"):
        assert "floor" in error_message(noise.log_determinant, floor)
    for dimension in (noise.rank - 1, D * D + 1, 6.0):
        assert "dimension" in error_message(noise.log_determinant, 0.1, dimension)
    for count in (0, -1, 2.5):
        assert "n:" in error_message(noise.sample, 0, count)
    assert "key" in error_message(noise.sample, "seed", 2)


def exact_log_determinant(model: Model, tokens: np.ndarray, shots: int) -> float:
    """log det of C on its support with fifty digits: Gram determinant of the map times that of the moments."""
    mp.mp.dps = 50
    size, count = tokens.shape[1], len(tokens)
    left, right = mp.matrix(model.value[0].tolist()), mp.matrix((model.key[0].T @ model.query[0]).tolist())
    pairs = [(i, j) for i in range(size) for j in range(i, size)]
    images = mp.matrix(size * size, len(pairs))
    for column, (i, j) in enumerate(pairs):
        unit = mp.zeros(size)
        unit[i, j] = unit[j, i] = 1
        image = left * unit * right
        for row in range(size * size):
            images[row, column] = image[row // size, row % size]
    points = mp.matrix([[mp.mpf(h[i]) * mp.mpf(h[j]) for i, j in pairs] for h in tokens.tolist()])
    for column in range(len(pairs)):
        mean = mp.fsum(points[row, column] for row in range(count)) / count
        for row in range(count):
            points[row, column] -= mean
    covariance = points.T * points * (mp.mpf(count - shots) / (shots * (count - 1) * count))
    return float(mp.log(mp.det(images.T * images)) + mp.log(mp.det(covariance)))


@pytest.mark.parametrize("spread", [1e-3, 1e-7, 1e-10])
def test_rank_and_volume(rng: np.random.Generator, spread: float) -> None:
    """A and B both small in the same direction: the eigenvalues of C spread over spread⁴."""
    rotation = np.linalg.qr(rng.standard_normal((2, 3, 3)))[0]
    scale = np.diag([1.0, 0.5, spread])
    model = Model.create(rotation[0] @ scale, np.eye(3), scale @ rotation[1])
    tokens = rng.standard_normal((12, 3))
    noise = gradient_noise(model, tokens, shots=4)
    assert noise.rank == 6
    # A singular value of relative size `spread` is known to eps / spread: the conditioning of the problem itself.
    if spread < 1e-8:
        with pytest.raises(ValueError, match="log-pseudo-determinant"):
            _ = noise.log_pseudo_determinant
    else:
        assert noise.log_pseudo_determinant == pytest.approx(exact_log_determinant(model, tokens, 4), rel=1e-9)
