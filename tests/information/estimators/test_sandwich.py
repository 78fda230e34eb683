"""Channels, sandwich, losses and ladder, each against a closed form or a slow twin."""

import math
from typing import Any

import numpy as np
import pytest
import sympy as sp
from helpers import error_message
from scipy.stats import multivariate_normal

from icl_theory import Estimate, LinearRegression, Model, bound_ladder, mutual_information, random_weights
from icl_theory.core.estimate import generalization_bound
from icl_theory.core.symmetric import symmetric_coordinates
from icl_theory.information.covariance_roots import covariance_root, log_determinant, whitening
from icl_theory.information.estimators.channel import PathChannel, SharedChannel
from icl_theory.information.estimators.sandwich import sandwich
from icl_theory.information.ladder.bound_ladder import Batches
from icl_theory.information.ladder.losses import clipped_second_moment, empirical_loss, population_loss
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.setting import Setting
from icl_theory.information.ladder.token_law import gaussian_moment_covariance
from icl_theory.noise.covariance import gradient_noise
from icl_theory.tasks.laws import StudentT
from icl_theory.truncation.module_truncation import truncate_weights

TASK = LinearRegression(2, noise_std=0.5)
W = np.array([0.7, -1.1])
LADDER: dict[str, Any] = {"demonstrations": 24, "shots": 6, "clip": 4.0, "samples": 400, "key": 5, "task_vector": W}


def with_changes(**changes: Any) -> dict[str, Any]:
    return LADDER | changes


def linear_channel(rng, count, dim, signal):
    """w = h + n with h ~ N(0, signal I), n ~ N(0, I): I = (d/2) log(1 + signal)."""
    inputs = math.sqrt(signal) * rng.standard_normal((count, dim))
    outputs = inputs + rng.standard_normal((count, dim))
    return outputs, inputs, np.broadcast_to(np.eye(dim), (count, dim, dim))


@pytest.mark.parametrize(("dim", "signal"), [(1, 0.5), (4, 0.3), (16, 0.15)])
def test_known_information(dim, signal):
    """Sandwich contains the known information."""
    truth = dim / 2 * math.log(1 + signal)
    ends = mutual_information(*linear_channel(np.random.default_rng(dim), 1500, dim, signal))
    assert not ends.saturated
    assert ends.lower.value - 4 * ends.lower.stderr <= truth <= ends.upper.value + 4 * ends.upper.stderr
    assert ends.upper.value - ends.lower.value < 0.35 * truth
    assert (ends.lower.direction, ends.upper.direction) == ("lower", "upper")


def test_saturation():
    """The sandwich saturates and is flagged."""
    ends = mutual_information(*linear_channel(np.random.default_rng(0), 64, 8, 400.0))
    assert ends.saturated
    assert ends.lower.value <= math.log(64) + 1e-12
    assert ends.upper.value > 15.0


def test_blocks():
    """Sandwich does not depend on the blocks."""
    outputs, means, covariances = linear_channel(np.random.default_rng(3), 300, 3, 0.4)
    channel = SharedChannel.of(outputs[:, None], means, covariance_root(covariances))
    whole, blocks = sandwich([channel]), sandwich([channel], block_entries=2**14)
    assert whole.upper.value == pytest.approx(blocks.upper.value, rel=1e-12)
    assert whole.lower.stderr == pytest.approx(blocks.lower.stderr, rel=1e-12)


def fractions_log_density(vector, root):
    """log N(v; 0, F Fᵀ) with determinant and inverse in rational arithmetic, so that no direction is too small."""
    exact = sp.Matrix(root.tolist()).applyfunc(sp.Rational)
    covariance, v = exact * exact.T, sp.Matrix(vector.tolist()).applyfunc(sp.Rational)
    form = (v.T * covariance.inv() * v)[0]
    return -0.5 * float(form) - 0.5 * math.log(covariance.det()) - len(vector) / 2 * math.log(2 * math.pi)


def test_log_densities():
    """Log densities against scipy."""
    rng = np.random.default_rng(1)
    count, dim = 5, 3
    roots = rng.standard_normal((count, dim, 6))
    means, outputs = rng.standard_normal((2, count, dim))
    shared = SharedChannel.of(outputs[:, None], means, roots).log_density(slice(1, 4))
    expected = [
        [multivariate_normal.logpdf(outputs[i], means[j], roots[j] @ roots[j].T) for j in range(count)]
        for i in range(1, 4)
    ]
    np.testing.assert_allclose(shared, expected, rtol=1e-11)
    maps = rng.standard_normal((count, 2, dim))
    path = PathChannel(outputs[:, :2], maps, means, roots, 0.3).log_density(slice(0, count))
    expected = [
        [
            multivariate_normal.logpdf(
                outputs[i, :2], maps[i] @ means[j], maps[i] @ roots[j] @ roots[j].T @ maps[i].T + 0.3 * np.eye(2)
            )
            for j in range(count)
        ]
        for i in range(count)
    ]
    np.testing.assert_allclose(path, expected, rtol=1e-11)
    # Two directions of noise in three, and a floor far below them: products of the roots would lose it.
    thin = roots[:, :, :2] * np.array([1.0, 1e-3])
    square = np.broadcast_to(np.eye(3), (count, 3, 3))
    path = PathChannel(outputs, square, means, thin, 1e-14).log_density(slice(0, count))
    mixed = [
        [fractions_log_density(outputs[i] - means[j], np.hstack([thin[j], 1e-7 * np.eye(3)])) for j in range(count)]
        for i in range(count)
    ]
    np.testing.assert_allclose(path, mixed, rtol=1e-5)


def test_whitening():
    """Whitening keeps small directions."""
    scales = np.array([1.0, 1e-6, 1e-12])
    root = scales[:, None] * np.random.default_rng(2).standard_normal((3, 7))
    white, volume = whitening(root[None])
    np.testing.assert_allclose(white[0] @ root @ root.T @ white[0].T, np.eye(3), atol=1e-9)
    rescaled = np.linalg.slogdet((root / scales[:, None]) @ (root / scales[:, None]).T)[1] + 2 * np.log(scales).sum()
    assert volume[0] == pytest.approx(rescaled, rel=1e-11)
    with pytest.raises(np.linalg.LinAlgError):
        log_determinant(np.array([[[1.0, 2.0], [2.0, 4.0]]]))


def test_clipped_moment():
    """Clipped moment against quadrature and extremes."""
    grid = np.linspace(-9, 9, 400_001)
    density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    for variance in (1e-3, 0.7, 30.0):
        expected = np.trapezoid(np.minimum(variance * grid**2, 4.0) * density, grid)
        assert clipped_second_moment(np.array(variance), 4.0) == pytest.approx(expected, rel=1e-7)
    assert clipped_second_moment(np.array(0.0), 4.0) == 0.0
    assert clipped_second_moment(np.array(1e30), 4.0) == pytest.approx(4.0, rel=1e-12)


def test_population_loss():
    """Population loss is the mean of empirical losses."""
    rng = np.random.default_rng(0)
    p = np.array([[0.2, -0.5]])
    tokens = TASK.sample_tokens(rng, np.broadcast_to(W, (4000, 2)), 50)
    losses = empirical_loss(np.broadcast_to(p, (4000, 2)), tokens, 1.5)
    error = losses.std() / math.sqrt(len(losses))
    assert abs(losses.mean() - population_loss(p, TASK, W, 1.5)[0]) < 6 * error


def test_sign_loss():
    """Sign loss against counting and where it is known."""
    rng = np.random.default_rng(0)
    p = np.array([[0.2, -0.5], [-0.7, 1.1], [0.7, -1.1], [1.1, 0.7]])
    tokens = TASK.sample_tokens(rng, np.broadcast_to(W, (4, 2)), 200_000)
    exact = population_loss(p, TASK, W, 4.0, "zero_one")
    counted = [np.mean(np.sign(t[:, :2] @ q) != np.sign(t[:, 2])) for q, t in zip(p, tokens, strict=True)]
    np.testing.assert_allclose(empirical_loss(p, tokens, 4.0, "zero_one"), counted, rtol=1e-12)
    np.testing.assert_allclose(exact, counted, atol=6 * 0.5 / math.sqrt(200_000))
    assert exact[1] + exact[2] == pytest.approx(1.0, abs=1e-14)  # the opposite of a weight errs where it is right
    assert exact[3] == pytest.approx(0.5, abs=1e-14)  # orthogonal: no better than chance
    assert population_loss(np.zeros((1, 2)), TASK, W, 4.0, "zero_one")[0] == 0.5
    assert empirical_loss(np.zeros((1, 2)), tokens[:1], 4.0, "zero_one")[0] == 0.5
    clean = LinearRegression(2)
    assert population_loss(W[None] * 3, clean, W, 4.0, "zero_one")[0] == pytest.approx(0.0, abs=1e-7)


def test_half_range():
    """log E exp(λ(ℓ - Eℓ)) ≤ λ² R² / 2 on a grid, attained to second order by a fair coin; R below c/2 is refuted."""
    rng, grid = np.random.default_rng(1), np.linspace(-6, 6, 49)
    values = np.minimum(9 * rng.standard_normal(200_000) ** 2, 4.0), rng.integers(0, 2, 200_000).astype(float)
    for loss, top in zip(values, (4.0, 1.0), strict=True):
        centred = loss - loss.mean()
        cumulants = np.array([np.log(np.mean(np.exp(t * centred))) for t in grid])
        assert (cumulants <= grid**2 * (top / 2) ** 2 / 2 + 1e-12).all()
    near = np.log(np.mean(np.exp(0.1 * (values[1] - values[1].mean()))))
    assert near > 0.99 * 0.1**2 * 0.5**2 / 2


def test_sign_loss_ladder():
    """The ladder under the sign loss."""
    model = random_weights(2, layers=1, token_dim=3, scale=2.0)
    signs, squares = (bound_ladder(model, TASK, **LADDER, loss=name) for name in ("zero_one", "clipped_squared"))
    assert signs.trivial == 1.0
    assert signs.information == squares.information
    for name in ("gaussian", "isotropic"):
        assert signs.rungs[name].value == pytest.approx(squares.rungs[name].value / 4)
    assert abs(signs.gap.value) < 1
    with pytest.raises(ValueError, match="loss: got 'hinge'"):
        bound_ladder(model, TASK, **LADDER, loss="hinge")  # pyright: ignore[reportArgumentType]


def test_moment_covariance():
    """Moment covariance against samples."""
    covariance = TASK.token_covariance(W)
    tokens = TASK.sample_tokens(np.random.default_rng(3), W[None], 400_000)[0]
    features = symmetric_coordinates(tokens[:, :, None] * tokens[:, None, :])
    exact = gaussian_moment_covariance(covariance)
    np.testing.assert_allclose(np.cov(features.T), exact, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize("layer", [0, 1])
def test_simulated_layer(layer):
    """Support coordinates of the simulation against the factored covariance of the same demonstrations."""
    model = random_weights(4, layers=layer + 1, token_dim=3, scale=1.0)
    setting = Setting(model, TASK, W, 24, 6)
    draws = draw(setting, np.random.default_rng(0), 3)
    runs = simulate(setting, draws)
    noise = gradient_noise(model, draws.tokens[1], shots=6)
    root = runs.layers[0].support.matrix()[0] @ draws.noise_root[1]
    assert (root**2).sum() == pytest.approx(noise.trace, rel=1e-11)
    assert log_determinant(root[None])[0] == pytest.approx(noise.log_pseudo_determinant, rel=1e-10)
    found = runs.layers[layer]
    inside = found.support.matrix() @ draws.observations[:, layer, :, None]
    np.testing.assert_allclose(found.support.embed(inside[..., 0]), found.increment, atol=1e-11)


def dense_rungs(model, samples, seed):
    """The rungs at L = 1 from dense D² x D² covariances restricted to the support by an explicit basis."""
    rng = np.random.default_rng(seed)
    value, key_query = model.value[0], model.key[0].T @ model.query[0]
    tokens = TASK.sample_tokens(rng, np.broadcast_to(W, (samples, 2)), 24)
    gradients = np.einsum("knd,kne->knde", tokens @ value.T, tokens @ key_query).reshape(samples, 24, -1)
    basis = np.linalg.svd(gradients[0] - gradients[0].mean(0))[2][: bound_ladder(model, TASK, **LADDER).support[0]]
    inner = gradients @ basis.T
    g = inner.mean(axis=1)
    c = (24 - 6) / (6 * 23) * np.stack([np.cov(x.T, bias=True).reshape(len(basis), -1) for x in inner])
    volume = np.linalg.slogdet(c)[1].mean()
    spread = c.mean(0) + np.cov(g.T)
    trace = np.trace(c, axis1=1, axis2=2)
    d = len(basis)
    return {
        "gaussian": 0.5 * (np.linalg.slogdet(spread)[1] - volume),
        "isotropic": 0.5 * (d * np.log((((g - g.mean(0)) ** 2).sum(1) + trace).mean() / d) - volume),
        "isotropic_zero": 0.5 * (d * np.log(((g**2).sum(1) + trace).mean() / d) - volume),
        "theorem_2_repaired": 0.5 * (d * np.log((3 * (g**2).sum(1) + trace).mean() / d) - volume),
    }


@pytest.mark.parametrize(("module", "rank"), [("value", 3), ("value", 2), ("query", 1)])
def test_dense_definition(module, rank):
    """Rungs against the dense definition."""
    model = truncate_weights(random_weights(2, layers=1, token_dim=3, scale=2.0), layer=0, module=module, rank=rank)
    ladder = bound_ladder(model, TASK, **with_changes(samples=6000), pairs=64)
    expected = dense_rungs(model, 6000, 77)
    for name, value in expected.items():
        estimate = ladder.information[name]
        assert abs(estimate.value - value) < 6 * math.hypot(2 * estimate.stderr, 0.02), name


def test_rungs_bound_the_gap():
    """Rungs are bounds on the gap in its units."""
    ladder = bound_ladder(random_weights(2, layers=1, token_dim=3, scale=2.0), TASK, **LADDER)
    for name, rung in ladder.rungs.items():
        information = ladder.information[name].value
        assert rung.value == pytest.approx(math.sqrt(2 * 2.0**2 * information / 24))
        assert rung.value > ladder.gap.value + 6 * ladder.gap.stderr
        assert rung.direction == "upper"
    assert ladder.rungs["theorem_2_printed"].value == math.inf
    assert "never" in ladder.rungs["theorem_2_printed"].note


def test_chunks(monkeypatch):
    """Chunks give the same ladder."""
    model = random_weights(2, layers=2, token_dim=3, scale=0.7)
    whole = bound_ladder(model, TASK, **LADDER, pairs=40)
    monkeypatch.setattr("icl_theory.information.ladder.noisy_trajectory._CHUNK_ENTRIES", 36 * 100)
    parts = bound_ladder(model, TASK, **LADDER, pairs=40)
    assert len(parts.terms["gap"]) == len(whole.terms["gap"]) == 400
    for name in ("gaussian", "isotropic"):
        error = math.hypot(whole.information[name].stderr, parts.information[name].stderr)
        assert abs(whole.information[name].value - parts.information[name].value) < 6 * error


def test_batches_repeat():
    """Batches repeat the same draws."""
    setting = Setting(random_weights(2, layers=1, token_dim=3), TASK, W, 24, 6)
    batches = Batches(setting, 9, 50)
    first, second = next(iter(batches)), next(iter(batches))
    np.testing.assert_array_equal(first.tokens, second.tokens)


def test_few_demonstrations():
    """Too few demonstrations give infinity with the reason, and a floor removes it."""
    few: dict[str, Any] = LADDER | {"demonstrations": 5, "shots": 2}
    model = random_weights(2, layers=1, token_dim=3, scale=2.0)
    ladder = bound_ladder(model, TASK, **few)
    assert all(rung.value == math.inf for name, rung in ladder.rungs.items() if not name.startswith("readout"))
    assert math.isfinite(ladder.rungs["readout"].value)  # two dimensions, of which N - 1 = 4 are enough
    assert "N - 1 = 4 is below d_S = 6" in ladder.information["gaussian"].note
    assert ladder.sandwich.upper.value == math.inf
    cured = bound_ladder(model, TASK, **few, floor=1e-2)
    assert all(math.isfinite(r.value) for n, r in cured.rungs.items() if n != "theorem_2_printed")
    assert cured.information["gaussian"].value < cured.information["isotropic"].value


def test_noise_free_labels():
    """Noise-free labels live in a smaller space."""
    ladder = bound_ladder(random_weights(2, layers=2, token_dim=3, scale=0.7), LinearRegression(2), **LADDER)
    assert ladder.support == (3, 3)


def test_removed_module():
    """A removed module carries no information."""
    model = truncate_weights(random_weights(2, layers=1, token_dim=3), layer=0, module="value", rank=0)
    ladder = bound_ladder(model, TASK, **LADDER)
    assert ladder.support == (0,)
    assert ladder.information["gaussian"].value == 0.0
    assert ladder.sandwich.upper.value == 0.0


def test_path_coordinates():
    """With invertible weights and no floor the Jacobians cancel: a vanishing floor must give the same information."""
    model = random_weights(8, layers=2, token_dim=3, scale=0.9)
    options: dict[str, Any] = LADDER | {"shots": 2, "samples": 200}
    shared = bound_ladder(model, TASK, **options, pairs=200).sandwich
    path = bound_ladder(model, TASK, **options, pairs=200, floor=1e-28).sandwich
    assert path.upper.value == pytest.approx(shared.upper.value, rel=1e-4)


def test_lower_bound_rejected():
    """A lower bound is an error as information."""
    lower = Estimate(1.0, direction="lower")
    with pytest.raises(ValueError, match=r"got a lower bound, expected .* use the upper end"):
        generalization_bound(lower, range_constant=1.0, demonstrations=10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shots": 24}, "shots: got 24"),
        ({"shots": 0}, "shots: got 0"),
        ({"demonstrations": 1}, "demonstrations: got 1"),
        ({"clip": 0.0}, "clip: got 0.0"),
        ({"floor": -1.0}, "floor: got -1.0"),
        ({"task_vector": np.ones(3)}, r"task_vector: got shape \(3,\)"),
        ({"samples": 1}, "samples: got 1"),
    ],
)
def test_bad_options(change, words):
    """Options out of range are errors that name the option."""
    with pytest.raises(ValueError, match=words):
        bound_ladder(random_weights(2, layers=1, token_dim=3), TASK, **with_changes(**change))


def test_unfit_input():
    """Inputs without a fourth moment and wrong weights are errors."""
    with pytest.raises(ValueError, match="E u⁴ < ∞"):
        bound_ladder(random_weights(2, layers=1, token_dim=3), LinearRegression(2, inputs=StudentT(4)), **LADDER)
    with pytest.raises(ValueError, match="token dimension"):
        bound_ladder(random_weights(2, layers=1, token_dim=5), TASK, **LADDER)
    one = np.ones((1, 2, 3, 3))
    with pytest.raises(ValueError, match=r"ensemble"):
        bound_ladder(Model(one, one, one), TASK, **LADDER)
    with pytest.raises(ValueError, match="not positive definite"):
        mutual_information(np.ones((3, 2)), np.ones((3, 2)), np.zeros((3, 2, 2)))


@pytest.mark.parametrize(
    ("covariance", "words"),
    [
        ([[0.09, 0.2], [0.05, 0.09]], "not symmetric"),
        ([[0.09, 1e-3], [0.0, 0.09]], "not symmetric"),
        ([[0.09, 0.2], [0.2, 0.09]], "not positive definite"),
    ],
)
def test_no_covariance(covariance: list[list[float]], words: str) -> None:
    """Of a matrix that is no covariance one triangle would be read."""
    outputs, means = np.random.default_rng(0).standard_normal((2, 5, 2))
    assert words in error_message(mutual_information, outputs, means, np.array([covariance] * 5))
    rounded = np.array([[[1.0, 0.3], [0.3 + 1e-14, 1.0]]] * 5)
    assert np.isfinite(mutual_information(outputs, means, rounded).upper.value)
