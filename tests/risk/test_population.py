"""The exact risk against token-level Monte Carlo, exact rational moments at d = 1, and the one-layer optimum."""

from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rational import gaussian_moment, rational_risk, uniform_moment

from icl_theory.descent.implied_weights import BLOCK, final_implied_weights, final_weights, implied_from_moments
from icl_theory.models.attention import predict
from icl_theory.models.constructions import gradient_descent_weights, one_layer_optimum, random_weights
from icl_theory.models.model import Model
from icl_theory.risk.one_layer import one_layer_risk
from icl_theory.risk.population import population_risk, summary
from icl_theory.tasks.laws import Gaussian, Law, Uniform
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.sparse_regression import SparseLinearRegression
from icl_theory.truncation.module_truncation import MODULES, module_rank, truncate_weights

DIM, SHOTS = 3, 6


def random_covariance(seed: int, dim: int = DIM) -> np.ndarray:
    a = np.random.default_rng(seed).standard_normal((dim, dim))
    return a @ a.T / dim + 0.1 * np.eye(dim)


@pytest.fixture(scope="module")
def task() -> LinearRegression:
    return LinearRegression(DIM, random_covariance(1), random_covariance(2), noise_std=0.7)


def brute_force(
    model: Model, task: LinearRegression, readout: str, count: int, shots: int = SHOTS
) -> tuple[float, float]:
    """The definition: sample tokens, run the forward pass, average the squared error."""
    prompt = task.sample(99, count, shots)
    error = (predict(model.replace(readout=readout), prompt) - prompt.y_query) ** 2
    return float(error.mean()), float(error.std(ddof=1) / np.sqrt(count))


@pytest.mark.parametrize("readout", ["minus", "plus"])
@pytest.mark.parametrize("seed", range(4))
def test_one_layer(task: LinearRegression, seed: int, readout: str) -> None:
    """One layer matches tokens."""
    model = random_weights(seed, layers=1, token_dim=DIM + 1, scale=1.0)
    exact = population_risk(model.replace(readout=readout), task, shots=SHOTS)
    mean, stderr = brute_force(model, task, readout, 100_000)
    assert (exact.direction, exact.stderr, exact.samples) == ("exact", 0.0, 0)
    assert abs(mean - exact.value) < 6 * stderr
    assert stderr < 0.05 * exact.value  # or the line above could not fail


@pytest.mark.parametrize("readout", ["minus", "plus"])
def test_two_layers(task: LinearRegression, readout: str) -> None:
    """Two layers match tokens."""
    model = random_weights(5, layers=2, token_dim=DIM + 1, scale=0.5)
    sampled = population_risk(model.replace(readout=readout), task, shots=SHOTS, samples=100_000, key=1)
    mean, stderr = brute_force(model, task, readout, 100_000)
    assert sampled.direction == "unbiased"
    assert sampled.samples == 100_000
    assert abs(mean - sampled.value) < 6 * np.hypot(stderr, sampled.stderr)
    assert np.hypot(stderr, sampled.stderr) < 0.05 * sampled.value


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["uniform", "sparse", "sparse, uniform"])
def test_other_laws(kind: str, seed: int) -> None:
    """All of W_V, W_K, W_Q are in use: fourth moments of x and of w count; the Gaussian formula is off by more."""
    lam, inputs = random_covariance(1), Uniform() if "uniform" in kind else Gaussian()
    dense = LinearRegression(DIM, lam, random_covariance(2), noise_std=0.7, inputs=inputs)
    law = SparseLinearRegression(DIM, lam, noise_std=0.7, inputs=inputs, nonzero=1) if "sparse" in kind else dense
    model = random_weights(seed, layers=1, token_dim=DIM + 1, scale=1.0)
    exact = population_risk(model, law, shots=SHOTS).value
    mean, stderr = brute_force(model, law, "minus", 200_000)
    assert abs(mean - exact) < 6 * stderr
    assert stderr < 0.05 * exact


def test_fourth_moments() -> None:
    """Control of the test above: as many tokens suffice to detect the formula for the wrong law."""
    lam = random_covariance(1)
    gaussian, uniform = (LinearRegression(DIM, lam, noise_std=0.7, inputs=i) for i in (Gaussian(), Uniform()))
    sparse = SparseLinearRegression(DIM, lam, noise_std=0.7, nonzero=1)
    reads_labels = Model.create(*np.array([np.diag([0.0, 0, 0, 1]), np.diag([1.0, 1, 1, 1]), np.ones((4, 4))]))
    random = random_weights(3, layers=1, token_dim=DIM + 1, scale=1.0)
    for model, law, shots in ((random, uniform, 1), (reads_labels, sparse, 20)):
        wrong, right = (population_risk(model, t, shots=shots).value for t in (gaussian, law))
        mean, stderr = brute_force(model, law, "minus", 200_000, shots)
        assert abs(mean - right) < 6 * stderr < abs(mean - wrong)


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
def test_truncations(inputs: Law) -> None:
    """Every module at every rank: the exact risk after `truncate_weights` against one set of prompts."""
    law = LinearRegression(DIM, random_covariance(1), random_covariance(2), noise_std=0.7, inputs=inputs)
    rng = np.random.default_rng(0)
    mlp = (rng.standard_normal((1, 5, DIM + 1)) / 2, rng.standard_normal((1, DIM + 1, 5)) / 2)
    model = random_weights(7, layers=1, token_dim=DIM + 1, scale=1.0).replace(mlp_in=mlp[0], mlp_out=mlp[1])
    prompt, risks = law.sample(99, 50_000, SHOTS), set()
    for module in MODULES:
        for rank in range(module_rank(model, module) + 1):
            cut = truncate_weights(model, layer=0, module=module, rank=rank)
            exact = population_risk(cut, law, shots=SHOTS)
            error = (predict(cut, prompt) - prompt.y_query) ** 2
            assert exact.direction == "exact"
            assert abs(error.mean() - exact.value) < 6 * error.std(ddof=1) / np.sqrt(len(error))
            risks.add(round(exact.value, 9))
    assert len(risks) > 3 * DIM  # truncations that change nothing would test nothing


def test_linear_mlp(task: LinearRegression) -> None:
    """A linear MLP is part of the left factor."""
    rng = np.random.default_rng(0)
    base = random_weights(7, layers=1, token_dim=DIM + 1, scale=1.0)
    model = base.replace(mlp_in=rng.standard_normal((1, 5, DIM + 1)), mlp_out=rng.standard_normal((1, DIM + 1, 5)))
    mean, stderr = brute_force(model, task, "minus", 100_000)
    assert abs(mean - population_risk(model, task, shots=SHOTS).value) < 6 * stderr


@pytest.mark.parametrize(("inputs", "input_moment"), [(Gaussian(), gaussian_moment), (Uniform(), uniform_moment)])
@pytest.mark.parametrize("seed", range(5))
def test_rational_arithmetic(seed: int, inputs: Law, input_moment: Any) -> None:
    """Exact in rational arithmetic."""
    rng = np.random.default_rng(seed)
    value, key, query = rng.integers(-3, 4, (3, 2, 2))
    lam, omega, shots = (int(k) for k in rng.integers(1, 5, 3))
    b = (key.T @ query)[:, 0]
    left, right = [int(k) for k in value[-1]], [int(k) for k in b]
    expected = rational_risk([(left, right)], lam, omega, Fraction(1, 4), shots, input_moment)
    task = LinearRegression(1, [[lam]], [[omega]], noise_std=0.5, inputs=inputs)
    got = population_risk(Model.create(value, key, query), task, shots=shots).value
    assert got == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize(("inputs", "input_moment"), [(Gaussian(), gaussian_moment), (Uniform(), uniform_moment)])
@pytest.mark.parametrize("seed", range(5))
def test_rational_heads(seed: int, inputs: Law, input_moment: Any) -> None:
    """The mixed terms of two heads are not symmetric: E[vᵀS A S v'] holds both A and its transpose."""
    rng = np.random.default_rng(seed)
    value, key, query = rng.integers(-3, 4, (3, 1, 2, 2, 2))
    lam, omega, shots = (int(k) for k in rng.integers(1, 5, 3))
    product = key[0].swapaxes(1, 2) @ query[0]
    model = Model.create(value, key, query, heads=2)
    heads = [([int(k) for k in v[-1]], [int(k) for k in b[:, 0]]) for v, b in zip(value[0], product, strict=True)]
    expected = rational_risk(heads, lam, omega, Fraction(1, 4), shots, input_moment)
    task = LinearRegression(1, [[lam]], [[omega]], noise_std=0.5, inputs=inputs)
    got = population_risk(model, task, shots=shots).value
    assert got == pytest.approx(float(expected), rel=1e-13)


def test_oracle_by_textbook() -> None:
    # Isotropic, d = 1, σ² = 1/4, η = 1: v = (0, -1), b = (1, 0).
    """The rational oracle knows the textbook risk."""
    shots, noise = 4, Fraction(1, 4)
    expected = Fraction(2, shots) + noise / shots  # E (1 - s)² + E ε-part, with s = mean of x²
    assert rational_risk([([0, -1], [1, 0])], 1, 1, noise, shots) == expected


@pytest.mark.parametrize("rank", [None, 0, 1, 2, 3])
def test_optimum_of_every_rank(task: LinearRegression, rank: int | None) -> None:
    """Matches the optimum of every rank."""
    model, risk = one_layer_optimum(task, shots=SHOTS, rank=rank)
    assert population_risk(model, task, shots=SHOTS).value == pytest.approx(risk, rel=1e-12)


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
@pytest.mark.parametrize("shots", [1, 6, 1000])
def test_optimum_is_a_minimum(shots: int, inputs: Law) -> None:
    """The optimum is a minimum."""
    task = LinearRegression(DIM, random_covariance(1), random_covariance(2), noise_std=0.7, inputs=inputs)
    model, risk = one_layer_optimum(task, shots=shots)
    rng = np.random.default_rng(0)
    for size in (0.3, 0.03, 0.003):
        for _ in range(20):
            # All of W_V, W_K, W_Q move: no one-layer model at all does better, not only none of the form P S_xy.
            moved = [a + size * rng.standard_normal(a.shape) for a in (model.value, model.key, model.query)]
            risk_moved = population_risk(Model(*moved), task, shots=shots).value
            assert risk_moved > risk * (1 + 1e-9 * size)


@pytest.mark.parametrize(("layers", "readout"), [(1, "minus"), (2, "plus"), (3, "minus")])
def test_final_weights(task: LinearRegression, layers: int, readout: str) -> None:
    """Fast final weights match the trajectory."""
    model = random_weights(layers, layers=layers, token_dim=DIM + 1, scale=0.8).replace(readout=readout)
    moments, _ = task.sample_moments(np.random.default_rng(0), 9, SHOTS)

    @jax.jit
    def both(model: Model, s: jax.Array) -> tuple:
        fast = final_implied_weights(model, jnp.moveaxis(s, 0, -1)).T
        return implied_from_moments(model, s)[:, -1], fast

    with jax.enable_x64(True):
        slow, fast = (np.asarray(p) for p in both(model, moments))
    np.testing.assert_allclose(fast, slow, rtol=1e-10, atol=1e-12 * np.abs(slow).max())


@pytest.mark.parametrize("batch", [BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 100])
def test_blocks(task: LinearRegression, batch: int) -> None:
    """Many prompts in blocks: as many weights as prompts, each its own."""
    moments, _ = task.sample_moments(np.random.default_rng(0), batch, SHOTS)
    for readout in ("minus", "plus"):
        model = random_weights(2, layers=2, token_dim=DIM + 1, scale=0.8).replace(readout=readout)
        with jax.enable_x64(True):
            slow = np.asarray(implied_from_moments(model, jnp.asarray(moments))[:, -1])
        fast = final_weights(model, moments)
        np.testing.assert_allclose(fast, slow, rtol=1e-10, atol=1e-12 * np.abs(slow).max())


def test_sampled_and_exact(task: LinearRegression) -> None:
    """A second layer of zeros changes nothing, so the Monte Carlo branch must reproduce the closed form."""
    one = random_weights(3, layers=1, token_dim=DIM + 1, scale=0.8)
    two = Model(*(np.concatenate([a, 0 * a]) for a in (one.value, one.key, one.query)))
    sampled = population_risk(two, task, shots=SHOTS, samples=50_000)
    exact = one_layer_risk(one, task, SHOTS)
    assert 0 < sampled.stderr < 0.03 * exact
    assert abs(sampled.value - exact) < 6 * sampled.stderr


def test_blocks_and_overflow(task: LinearRegression, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, the key and overflow."""
    model = random_weights(3, layers=2, token_dim=DIM + 1)
    whole = population_risk(model, task, shots=SHOTS, samples=999)
    assert whole == population_risk(model, task, shots=SHOTS, samples=999, key=0)
    assert whole != population_risk(model, task, shots=SHOTS, samples=999, key=1)
    monkeypatch.setattr("icl_theory.risk.population.BLOCK_ENTRIES", 100 * (DIM + 1) ** 2)
    blocked = population_risk(model, task, shots=SHOTS, samples=999)
    assert blocked.samples == 999
    assert 0 < abs(blocked.value - whole.value) < 6 * np.hypot(blocked.stderr, whole.stderr)
    overflow = summary(np.array([1.0, np.inf, np.nan]))
    assert overflow.value == np.inf
    assert "2 of 3" in overflow.note


def test_errors(task: LinearRegression) -> None:
    """Models, tasks, counts and readouts that do not fit."""
    model = gradient_descent_weights(DIM, layers=2)
    ensemble = Model(*(np.stack([a, a]) for a in (model.value, model.key, model.query)))
    with pytest.raises(ValueError, match="single model"):
        population_risk(ensemble, task, shots=SHOTS)
    with pytest.raises(ValueError, match="token dimension"):
        population_risk(model, LinearRegression(DIM + 1), shots=SHOTS)
    with pytest.raises(ValueError, match="shots"):
        population_risk(model, task, shots=0)
    with pytest.raises(ValueError, match="samples"):
        population_risk(model, task, shots=SHOTS, samples=1)
    with pytest.raises(ValueError, match="readout"):
        population_risk(model.replace(readout="both"), task, shots=SHOTS)
