"""Several heads: they add up in ΔW, and every theory function takes them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import (
    accumulated_map,
    assert_close,
    assert_mean,
    covariance_by_definition,
    covariance_by_enumeration,
    error_message,
    forward_by_token,
    gradients,
    nonzero_spectrum,
    support_matrix,
)

from icl_theory.core.symmetric import symmetric_coordinates
from icl_theory.descent.agreement import gradient_descent_agreement
from icl_theory.descent.implied_weights import final_implied_weights, implied_from_moments
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.information.ladder.bound_ladder import bound_ladder
from icl_theory.models.attention import forward, predict
from icl_theory.models.model import Model
from icl_theory.noise.covariance import gradient_noise
from icl_theory.noise.multi_head_support import SummedSupport, ranks_of, summed_map, support_of
from icl_theory.noise.support import Support
from icl_theory.risk.population import population_risk
from icl_theory.tasks.classification import LinearClassification
from icl_theory.tasks.laws import Gaussian, Law, Uniform
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.truncation.module_truncation import truncate_weights
from icl_theory.truncation.svd import truncate

D, HEADS, LAYERS = 4, 3, 2


def headed(rng: np.random.Generator, layers: int = LAYERS, scale: float = 0.7, heads: int = HEADS) -> Model:
    return Model.create(*rng.standard_normal((3, layers, heads, D, D)) * scale / np.sqrt(D), heads=heads)


def shared_value(model: Model) -> tuple[Model, Model]:
    """Heads with one W_V, and the single head that does the same: W_K = I, W_Q = Σ W_Kᵀ W_Q."""
    value = np.broadcast_to(model.value[:, :1], model.value.shape)
    total = (model.key.swapaxes(-1, -2) @ model.query).sum(1)
    identity = np.broadcast_to(np.eye(D), total.shape)
    return model.replace(value=value), Model.create(model.value[:, 0], identity, total)


@pytest.mark.parametrize("kind", ["linear", "softmax"])
@pytest.mark.parametrize("mask", ["demonstrations", "causal"])
def test_token_loop(rng: np.random.Generator, kind: str, mask: str) -> None:
    """Forward matches the loop over tokens and heads."""
    model, tokens, query = headed(rng), rng.standard_normal((6, D)), rng.standard_normal(D)
    expected = forward_by_token(model, tokens, query, kind=kind, mask=mask)[1]
    assert_close(forward(model.replace(kind=kind, mask=mask), tokens, query), expected)
    one_fewer = jax.tree.map(lambda a: a[:, :-1], model)
    assert np.abs(forward(one_fewer.replace(heads=HEADS - 1), tokens, query) - expected).max() > 1e-3


def test_mlp_on_the_sum(rng: np.random.Generator) -> None:
    """An MLP acts on the sum of the heads."""
    mlp = {"mlp_in": rng.standard_normal((LAYERS, 5, D)), "mlp_out": rng.standard_normal((LAYERS, D, 5)) / 5}
    model, tokens, query = headed(rng).replace(**mlp), rng.standard_normal((6, D)), rng.standard_normal(D)
    relu = forward(model.replace(activation="relu"), tokens, query)
    assert_close(relu, forward_by_token(model, tokens, query, activation="relu")[1])
    linear = implicit_trajectory(model, tokens)
    assert_close(np.eye(D) + linear.accumulated[-1], accumulated_map(model, tokens, LAYERS))
    assert_close(forward(model.without_mlp(), tokens, query), forward(model, tokens, query))


def test_single_head_axis(rng: np.random.Generator) -> None:
    """Trajectory and a single head written with an axis."""
    model, tokens = headed(rng), rng.standard_normal((7, D))
    path = implicit_trajectory(model, tokens)
    for layers in range(1, LAYERS + 1):
        assert_close(np.eye(D) + path.accumulated[layers], accumulated_map(model, tokens, layers))
    single = Model.create(model.value[:, 0], model.key[:, 0], model.query[:, 0])
    assert single.with_heads().heads == 1
    assert_close(
        implicit_trajectory(single.with_heads(), tokens).gradient, implicit_trajectory(single, tokens).gradient
    )


@pytest.mark.parametrize("count", [4, 40])  # the method with the N gradients and the method through coordinates
@pytest.mark.parametrize("layer", range(LAYERS))
def test_noise_definition(rng: np.random.Generator, layer: int, count: int) -> None:
    """Noise matches the definition."""
    tokens = rng.standard_normal((count, D)) if count > 4 else rng.standard_normal((count, D))[:, :D]
    model = headed(rng)
    noise, per_token = gradient_noise(model, tokens, shots=2, layer=layer), gradients(model, tokens, layer)
    assert_close(noise.dense(), covariance_by_definition(per_token, 2))
    rank = min(count - 1, D * (D + 1) // 2)
    assert noise.rank == rank
    expected = nonzero_spectrum(per_token, 2, rank)
    assert_close(noise.spectrum, expected, 1e-9)
    assert noise.log_pseudo_determinant == pytest.approx(np.log(expected).sum(), abs=1e-8)
    assert noise.trace == pytest.approx(expected.sum(), rel=1e-11)
    draws = noise.sample(0, 10_000).reshape(10_000, -1)
    assert_mean(draws[:, :, None] * draws[:, None, :], noise.dense())


def test_both_methods(rng: np.random.Generator) -> None:
    """The method through the gradients equals that through coordinates."""
    model, tokens = headed(rng), rng.standard_normal((40, D))
    noise = gradient_noise(model, tokens, shots=10)
    bare = type(noise)(noise.left, noise.right, noise.shots)
    assert noise.coordinates is not None
    assert bare.coordinates is None
    assert_close(bare.spectrum[: noise.rank], noise.spectrum, 1e-9)
    assert bare.rank == noise.rank == D * (D + 1) // 2


def test_enumeration(rng: np.random.Generator) -> None:
    """Noise of the first layer matches enumeration."""
    model, tokens = headed(rng), rng.standard_normal((6, D))
    expected = covariance_by_enumeration(gradients(model, tokens, 0), 2)
    assert_close(gradient_noise(model, tokens, shots=2).dense(), expected)


@pytest.mark.parametrize("ranks", [(4, 4), (1, 1), (2, 1), (0, 2)])
def test_summed_support(rng: np.random.Generator, ranks: tuple[int, int]) -> None:
    """Two heads of given ranks: dimension, isometry, projection and volume against dense linear algebra."""
    left, right = (
        np.stack([rng.standard_normal((D, r)) @ rng.standard_normal((r, D)) for r in ranks]) for _ in range(2)
    )
    dense = np.sum([support_matrix(a, b) for a, b in zip(left, right, strict=True)], axis=0)
    support = support_of(left, right)
    assert isinstance(support, SummedSupport)
    assert support.dimension == np.linalg.matrix_rank(dense, tol=1e-9)
    x = rng.standard_normal((D, D))
    x = x + x.T
    image = np.sum([a @ x @ b for a, b in zip(left, right, strict=True)], axis=0)
    assert_close(summed_map(left, right) @ symmetric_coordinates(x), image.ravel())
    z = support.matrix() @ symmetric_coordinates(x)
    assert_close(support.embed(z), image)
    assert_close(support.project(image), z, 1e-9)
    assert np.linalg.norm(z) == pytest.approx(np.linalg.norm(image), rel=1e-11)
    other = rng.standard_normal((D, D))
    inside = support.embed(support.project(other))
    assert abs(np.sum(inside * (other - inside))) < 1e-10 * np.sum(other**2)
    volume = support.log_volume
    if support.dimension == D * (D + 1) // 2:
        assert volume == pytest.approx(np.linalg.slogdet(support.matrix())[1], abs=1e-9)
    else:
        assert volume is None


def test_one_head_as_a_sum(rng: np.random.Generator) -> None:
    """One head through the sum equals the closed form."""
    left, right, tokens = rng.standard_normal((D, D)), rng.standard_normal((D, D)), rng.standard_normal((9, D))
    one, summed = support_of(left, right), support_of(left[None], right[None])
    assert isinstance(one, Support)
    assert one.dimension == summed.dimension
    assert one.log_volume == pytest.approx(summed.log_volume, abs=1e-9)
    # Coordinates differ by a rotation of the support: their Gram matrices agree.
    first, second = one.coordinates(tokens), summed.coordinates(tokens)
    assert_close(first @ first.T, second @ second.T, 1e-10)
    assert ranks_of(left, 0 * right).dimension == 0
    assert ranks_of(left[None], 0 * right[None]).dimension == 0


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
def test_one_layer_risk(rng: np.random.Generator, inputs: Law) -> None:
    """Risk of one layer matches tokens and the single head."""
    task = LinearRegression(D - 1, noise_std=0.6, inputs=inputs)
    model = headed(rng, layers=1)
    prompt = task.sample(5, 200_000, 6)
    error = (predict(model, prompt) - prompt.y_query) ** 2
    exact = population_risk(model, task, shots=6).value
    stderr = error.std(ddof=1) / np.sqrt(len(error))
    assert abs(error.mean() - exact) < 6 * stderr < 0.1 * exact
    several, single = shared_value(model)
    assert population_risk(several, task, shots=6).value == pytest.approx(
        population_risk(single, task, shots=6).value, rel=1e-12
    )
    # The heads are not independent terms: leaving out the mixed ones would be seen here.
    alone = [
        population_risk(Model.create(*(m[:, h] for m in (model.value, model.key, model.query))), task, shots=6).value
        for h in range(HEADS)
    ]
    assert abs(sum(alone) - (HEADS - 1) * task.zero_risk - exact) > 1e-3


def test_other_task() -> None:
    """Risk on another task reads the sum of the heads."""
    task, value, key = LinearClassification(2), np.zeros((1, 2, 3, 3)), np.zeros((1, 2, 3, 3))
    value[..., -1, -1], key[..., :2, :2] = -0.5, np.eye(2)
    both = Model.create(value, key, key, heads=2)
    one = Model.create(2 * value[:, 0], key[:, 0], key[:, 0])
    assert population_risk(both, task, shots=5).value == pytest.approx(population_risk(one, task, shots=5).value)


@pytest.mark.parametrize("mlp", [False, True])
def test_fast_weights(rng: np.random.Generator, mlp: bool) -> None:
    """Fast weights of several layers match the trajectory."""
    task, model = LinearRegression(D - 1), headed(rng, layers=3)
    if mlp:
        model = model.replace(mlp_in=rng.standard_normal((3, 5, D)), mlp_out=rng.standard_normal((3, D, 5)) / 5)
    moments, _ = task.sample_moments(np.random.default_rng(0), 9, 6)
    with jax.enable_x64(True):
        slow = np.asarray(implied_from_moments(model, jnp.asarray(moments))[:, -1])
        fast = np.asarray(final_implied_weights(model, jnp.moveaxis(jnp.asarray(moments), 0, -1)).T)
    assert_close(fast, slow, 1e-10)


@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_ladder_of_one_head(rng: np.random.Generator, floor: float) -> None:
    """The ladder equals that of the single head."""
    task = LinearRegression(D - 1, noise_std=0.5)
    several, single = shared_value(headed(rng, scale=0.5))
    options: dict[str, Any] = {"demonstrations": 60, "shots": 15, "clip": 4.0, "samples": 64, "key": 1, "floor": floor}
    first, second = (bound_ladder(w, task, **options) for w in (several, single))
    assert first.support == second.support == (10, 10)
    tolerance = 1e-8 if floor == 0 else 1e-6  # the floor's matrices are the same, its coordinates are not
    for name, estimate in second.information.items():
        assert first.information[name].value == pytest.approx(estimate.value, rel=tolerance)
    assert first.gap.value == pytest.approx(second.gap.value, rel=tolerance, abs=1e-9)


def test_ladder_of_heads(rng: np.random.Generator) -> None:
    """The ladder of heads that no single head matches."""
    task, model = LinearRegression(D - 1, noise_std=0.5), headed(rng, layers=1)
    options: dict[str, Any] = {"demonstrations": 60, "shots": 15, "clip": 4.0, "samples": 128, "key": 1}
    ladder = bound_ladder(model, task, **options)
    values = [ladder.information[n].value for n in ("gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired")]
    assert values == sorted(values)
    # Universality: the Gaussian rung depends on the dimension of the support only.
    other = bound_ladder(headed(rng, layers=1, heads=1), task, **options)
    assert ladder.information["gaussian"].value == pytest.approx(other.information["gaussian"].value, rel=1e-9)
    assert ladder.information["isotropic"].value != pytest.approx(other.information["isotropic"].value, rel=1e-3)


def test_head_by_head(rng: np.random.Generator) -> None:
    """Truncation goes head by head and the agreement takes heads."""
    model = headed(rng, scale=0.4)
    cut = truncate_weights(model, layer=1, module="key", rank=2)
    for head in range(HEADS):
        assert_close(cut.key[1, head], truncate(model.key[1, head], 2).matrix)
    assert_close(cut.key[0], model.key[0])
    several, single = shared_value(model)
    task = LinearRegression(D - 1)
    first, second = (gradient_descent_agreement(w, task, shots=10, prompts=16, key=0) for w in (several, single))
    assert first.step_size == pytest.approx(second.step_size, rel=1e-6)


def test_shapes_and_errors(rng: np.random.Generator) -> None:
    """Shapes, seeds and errors."""
    model = headed(rng)
    assert (model.layers, model.token_dim, model.heads, model.seeds) == (LAYERS, D, HEADS, None)
    ensemble = jax.tree.map(lambda a: np.stack([a, 2 * a]), model)
    assert (ensemble.layers, ensemble.seeds) == (LAYERS, 2)
    assert_close(ensemble.member(1).value, 2 * model.value)
    twice = model.first_layers(1).repeated(3)
    assert_close(twice.key, np.concatenate([model.key[:1]] * 3))
    query = np.zeros(D)
    tokens = rng.standard_normal((5, D))
    assert "single model" in error_message(forward, ensemble, tokens, query)
    assert "heads" in error_message(forward, model.replace(heads=2), tokens, query)
    assert "value" in error_message(Model.create, model.value, model.key[0], model.query)
