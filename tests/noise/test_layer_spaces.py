"""Ranks from the weights alone: the same on every path, for every noise level, from every function."""

import itertools
from typing import Any

import numpy as np
import pytest
from helpers import error_message

from icl_theory import (
    LinearRegression,
    Model,
    bound_ladder,
    gradient_noise,
    random_weights,
    support_dimension,
    truncate_weights,
    truncation_noise,
)
from icl_theory.core.symmetric import symmetric_pairs
from icl_theory.information.ladder.token_law import token_root
from icl_theory.models.checked import checked_linear
from icl_theory.noise.covariance import layer_factors
from icl_theory.noise.layer_spaces import LayerSpaces, canonical_support, layer_structures, log_volume
from icl_theory.noise.support import Support

D, W = 4, np.array([1.0, -0.5, 0.3])
OPTIONS: dict[str, Any] = {"demonstrations": 40, "shots": 10, "clip": 4.0, "samples": 32, "key": 1, "task_vector": W}


def cut(seed: int, layers: int, ranks: tuple[int, ...], scale: float = 0.5) -> Model:
    """Random weights with W_V, W_K and W_Q of every layer at these ranks."""
    model = random_weights(seed, layers=layers, token_dim=D, scale=scale)
    for layer, (name, rank) in itertools.product(range(layers), zip(("value", "key", "query"), ranks, strict=True)):
        model = truncate_weights(model, layer=layer, module=name, rank=rank)  # pyright: ignore[reportArgumentType]
    return model


def dense_dimensions(model: Model, basis: np.ndarray) -> list[int]:
    """d_S of every layer at one path with small steps, as the rank of the images of all symmetric X."""
    rng, m, result = np.random.default_rng(5), np.eye(D), []
    model = model.with_heads()
    for layer in range(model.layers):
        left = model.left_factor()[layer] @ m @ basis
        right = basis.T @ m.T @ np.swapaxes(model.key[layer], -1, -2) @ model.query[layer] @ m
        images = []
        for i, j, _ in zip(*symmetric_pairs(basis.shape[1]), strict=True):
            unit = np.zeros((basis.shape[1],) * 2)
            unit[i, j] = unit[j, i] = 1.0
            images.append((left @ unit @ right).sum(0).ravel())
        result.append(int(np.linalg.matrix_rank(np.array(images), rtol=1e-9)))
        x = rng.standard_normal((basis.shape[1],) * 2)
        update = (left @ (x + x.T) @ right).sum(0)
        m = m + 0.2 * update / (np.linalg.norm(update) or 1.0)
    return result


@pytest.mark.parametrize("columns", [D, D - 1, 1])
def test_dense_twin(columns: int) -> None:
    """Every combination of ranks, one or two layers, tokens in D, D - 1 or one dimension."""
    basis = np.random.default_rng(1).standard_normal((D, columns))
    for ranks in itertools.product((0, 1, 2, D), repeat=3):
        for layers in (1, 2):
            model = checked_linear(cut(3, layers, ranks), D, "it")
            found = [structure.dimension for structure in layer_structures(model, basis)]
            assert found == dense_dimensions(model, basis), (ranks, layers)


def test_heads_and_mlp() -> None:
    """Two heads of low rank, and a narrow linear MLP, against the same twin."""
    rng, basis = np.random.default_rng(2), np.eye(D)
    low = [rng.standard_normal((2, 2, D, 1)) @ rng.standard_normal((2, 2, 1, D)) for _ in range(3)]
    narrow = rng.standard_normal((2, 2, D)), rng.standard_normal((2, D, 2))
    for model in (Model.create(*low, heads=2), random_weights(0, layers=2, token_dim=D)):
        for given in (model, model.replace(mlp_in=narrow[0], mlp_out=narrow[1])):
            found = [s.dimension for s in layer_structures(checked_linear(given, D, "it"), basis)]
            assert found == dense_dimensions(given, basis)


@pytest.mark.parametrize(("layers", "scale"), [(3, 1.5), (4, 3.0), (5, 1.0)])
def test_depth(layers: int, scale: float) -> None:
    """Invertible weights: d_S = D(D+1)/2 in every layer, and the information of the identity's, on any path."""
    for seed in range(6):
        model = random_weights(seed, layers=layers, token_dim=D, scale=scale)
        ladder = bound_ladder(model, LinearRegression(3, noise_std=0.5), **OPTIONS)
        assert ladder.support == (10,) * layers
        eye = np.eye(D)[None].repeat(layers, 0)
        plain = bound_ladder(Model.create(eye, eye, eye), LinearRegression(3, noise_std=0.5), **OPTIONS)
        assert ladder.information["path_gaussian"].value == pytest.approx(
            plain.information["path_gaussian"].value, rel=1e-12
        )
        assert np.isfinite(ladder.gap.value)


def test_noise_level() -> None:
    """The same nats for every σ > 0 and invertible Λ, others at σ = 0; the tokens' rank agrees with the task's."""
    model, found = cut(0, 1, (D, D, D)), {}
    for noise in (0.5, 1e-4, 1e-5, 1e-9, 1e-12, 0.0):
        task = LinearRegression(3, noise_std=noise)
        ladder = bound_ladder(model, task, **OPTIONS)
        tokens = task.sample_tokens(np.random.default_rng(0), W[None], 40)[0]
        assert gradient_noise(model, tokens, shots=10).rank == ladder.support[0] == (10 if noise else 6)
        assert truncation_noise(model, tokens, shots=10, module="value").dimension[-1] == ladder.support[0]
        found[noise] = ladder.information["mutual_information"].value
    known = found.pop(0.0)
    assert np.ptp(list(found.values())) < 1e-9
    assert known < found[0.5] - 0.5
    for size in (1e-11, 1e-30):
        task = LinearRegression(3, noise_std=0.5, covariance=np.diag([1.0, 1.0, size]))
        if size > 1e-13:
            assert bound_ladder(model, task, **OPTIONS).information["mutual_information"].value == pytest.approx(
                found[0.5], rel=1e-9
            )
        else:
            assert "task.covariance" in error_message(bound_ladder, model, task, **OPTIONS)


def test_small_singular_values() -> None:
    """Down to 5e-12 a singular value counts; 2e-15 is refused; declared it counts."""
    u, _, v = np.linalg.svd(random_weights(0, layers=1, token_dim=D).value[0])
    model, task = random_weights(0, layers=1, token_dim=D), LinearRegression(3, noise_std=0.5)
    full = bound_ladder(model, task, **OPTIONS).information["gaussian"].value
    for small in (1e-11, 5e-12):
        given = model.replace(value=((u * [1, 0.8, 0.5, small]) @ v)[None])
        assert bound_ladder(given, task, **OPTIONS).information["gaussian"].value == pytest.approx(full, rel=1e-9)
    doubtful = model.replace(value=((u * [1, 0.8, 0.5, 2e-15]) @ v)[None])
    assert "rank of value" in error_message(bound_ladder, doubtful, task, **OPTIONS)
    for rank, support in ((3, 9), (4, 10)):
        declared = Model.create(doubtful.value, doubtful.key, doubtful.query, ranks={"value": [rank]})
        assert bound_ladder(declared, task, **OPTIONS).support == (support,)


def test_overflow_is_not_rank_zero() -> None:
    """1e-160 times 1e160 is 1; identities of 1e6 at L = 4 reach 1e240 and keep their information, or are refused."""
    model, task = random_weights(0, layers=1, token_dim=D), LinearRegression(3, noise_std=0.5)
    plain = bound_ladder(model, task, **OPTIONS)
    scaled = bound_ladder(model.replace(value=1e-160 * model.value, key=1e160 * model.key), task, **OPTIONS)
    for name, rung in plain.rungs.items():
        assert scaled.rungs[name].value == pytest.approx(rung.value, rel=1e-9)
    eye = np.eye(D)[None].repeat(4, 0)
    large = bound_ladder(Model.create(1e6 * eye, eye, eye), task, **OPTIONS)
    assert large.support == (10,) * 4
    assert large.rungs["isotropic"].value == np.inf
    assert "float64" in large.rungs["isotropic"].note
    assert np.isfinite([large.rungs["gaussian"].value, large.gap.value]).all()
    assert "W_t stays finite" in error_message(bound_ladder, Model.create(1e9 * eye, eye, eye), task, **OPTIONS)


def test_functions_agree() -> None:
    """support_dimension, gradient_noise, truncation_noise and bound_ladder: one d_S."""
    task = LinearRegression(3, noise_std=0.5)
    tokens = task.sample_tokens(np.random.default_rng(0), W[None], 40)[0]
    for seed, ranks in enumerate(itertools.product((1, 2, 4), repeat=3)):
        model = cut(seed, 1, ranks)
        expected = bound_ladder(model, task, **OPTIONS).support[0]
        assert gradient_noise(model, tokens, shots=10).rank == expected
        assert truncation_noise(model, tokens, shots=10, module="value").dimension[-1] == expected
        assert support_dimension(model.value[0], model.key[0].T @ model.query[0], tokens) == expected


def test_lost_spaces() -> None:
    """A path whose spaces rounding has eaten is refused, where only a truncated layer needs them."""
    model = checked_linear(cut(1, 1, (2, 2, D)), D, "it")
    structure, lost = layer_structures(model, np.eye(D))[0], np.diag([1.0, 1e-3, 1e-15, 1e-18])
    with pytest.raises(np.linalg.LinAlgError):
        canonical_support(structure, lost[None], (model.value[:1], model.value[:1]))
    assert len(canonical_support(structure, np.eye(D)[None], (model.value[:1], model.value[:1]))[0]) == 4


def test_moved_tokens() -> None:
    """Layer 1 writes a coordinate that the tokens lack and layer 2 reads it; the other way round it reads nothing."""
    unit, eye = np.eye(3), np.eye(3)
    value = np.stack([np.outer(unit[2], unit[0]), np.outer(unit[0], unit[2])])
    model = checked_linear(Model.create(value, np.stack([eye, eye]), np.stack([eye, eye])), 3, "it")
    found = [structure.dimension for structure in layer_structures(model, eye[:, :2])]
    assert found == [2, 2]
    model = checked_linear(Model.create(value[::-1], np.stack([eye, eye]), np.stack([eye, eye])), 3, "it")
    assert [structure.dimension for structure in layer_structures(model, eye[:, :2])] == [0, 2]


@pytest.mark.parametrize("ranks", [(2, D, D), (2, 2, D), (1, D, 2), (2, 3, 3), (3, 2, D)])
@pytest.mark.parametrize("columns", [D, D - 1])
def test_canonical_maps(ranks: tuple[int, ...], columns: int) -> None:
    """The canonical map has the row space of the map to W, in orthonormal coordinates of it, at a moved path."""
    rng = np.random.default_rng(3)
    model, basis = checked_linear(cut(4, 1, ranks), D, "it"), rng.standard_normal((D, columns))
    m = np.eye(D) + 0.3 * rng.standard_normal((D, D))
    left, right = layer_factors(model, 0, m - np.eye(D))
    structure = layer_structures(model, basis)[0]
    assert isinstance(structure, LayerSpaces)
    real = Support.of(left @ basis, basis.T @ right, structure.ranks).matrix()
    maps = canonical_support(structure, (m @ basis)[None], (left[None], right[None]))[0]
    assert maps.shape == real.shape
    together = np.linalg.svd(np.concatenate([maps / np.abs(maps).max(), real / np.abs(real).max()]), compute_uv=False)
    assert together[len(maps) - 1] > 1e-6
    assert len(together) == len(maps) or together[len(maps)] < 1e-12


def test_volume_of_small_noise() -> None:
    """σ = 1e-12 shifts log |det| by (D + 1) log σ and costs no digits, where the support alone knows nothing."""
    model, values = checked_linear(cut(0, 1, (D, D, D)), D, "it"), {}
    for sigma in (1.0, 1e-12):
        basis = token_root(LinearRegression(3, noise_std=sigma), W)
        left, right = layer_factors(model, 0, np.zeros((1, 1)))
        support = Support.of(left @ basis, basis.T @ right, layer_structures(model, basis)[0].ranks)  # pyright: ignore
        values[sigma] = log_volume(model, 0, np.eye(D)[None], basis, support)
        assert values[sigma].doubt[0] < 1e-11
    shift = values[1e-12].value[0] - values[1.0].value[0]
    assert shift == pytest.approx((D + 1) * np.log(1e-12), abs=1e-9)
    assert support.doubt > 1e-5


def test_token_root() -> None:
    """B Bᵀ = Σ_w for any Λ and σ, with as many columns as the tokens have dimensions."""
    skew = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 0.7]])
    for covariance, noise, columns in ((skew, 0.5, 4), (skew, 0.0, 3), (np.diag([1.0, 4.0, 0.0]), 0.5, 3)):
        task = LinearRegression(3, noise_std=noise, covariance=covariance)
        root = token_root(task, W)
        assert root.shape == (4, columns)
        np.testing.assert_allclose(root @ root.T, task.token_covariance(W), atol=1e-12)


def test_constant_square() -> None:
    """A coordinate of fixed size carries one direction less, in the curve as in the truncated model."""
    tokens = np.random.default_rng(0).standard_normal((30, D))
    tokens[:, 0] = 0.3 * np.sign(tokens[:, 0])
    model = random_weights(0, layers=1, token_dim=D)
    curve = truncation_noise(model, tokens, shots=3, module="value")
    for rank, dimension, log in zip(curve.ranks, curve.dimension, curve.log_pseudo_determinant, strict=True):
        noise = gradient_noise(truncate_weights(model, layer=0, module="value", rank=int(rank)), tokens, shots=3)
        assert noise.rank == dimension
        assert noise.log_pseudo_determinant == pytest.approx(log, rel=1e-9)
    assert curve.dimension[-1] == D * (D + 1) // 2 - 1
