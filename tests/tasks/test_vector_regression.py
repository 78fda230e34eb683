"""Labels that are vectors: what the tasks sample, the moments they promise, and models that predict them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import assert_mean, error_message, forward_by_token
from scipy.stats import multivariate_normal

from icl_theory import (
    InContextTransformer,
    LinearClassification,
    LinearRegression,
    Model,
    OneHotClassification,
    Prompt,
    VectorRegression,
    accuracy,
    gradient_descent,
    gradient_descent_weights,
    one_layer_optimum,
    population_risk,
    predict,
    random_weights,
)
from icl_theory.tasks.classification import _bivariate_normal_cdf, _same_class
from icl_theory.tasks.laws import Uniform

LAMBDA = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 0.5]])
OMEGA = np.array([[1.0, -0.2, 0.1], [-0.2, 0.6, 0.0], [0.1, 0.0, 1.5]])
BATCH, SHOTS = 40_000, 4
TASKS = {
    "vector": VectorRegression(3, 2, LAMBDA, OMEGA, noise_std=0.7),
    "vector, uniform": VectorRegression(3, 2, LAMBDA, OMEGA, noise_std=0.7, inputs=Uniform()),
    "one-hot": OneHotClassification(3, 4, 1.7 * np.eye(3)),
    "one-hot, one input": OneHotClassification(1, 3),
}
over_tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


@over_tasks
def test_moments_and_optimum(task: VectorRegression | OneHotClassification) -> None:
    """Moments and optimum are those of sampled prompts."""
    prompt = task.sample(3, BATCH, SHOTS)
    assert prompt.y.shape == (BATCH, SHOTS, task.outputs)
    assert prompt.tokens().shape == (BATCH, SHOTS, task.token_dim)
    assert prompt.y_query.shape == (BATCH, task.outputs)
    assert_mean((prompt.y_query**2).sum(1), task.zero_risk)
    readout = np.einsum("bni,bnc->bci", prompt.x, prompt.y @ task.label_projection) / SHOTS
    cross, moment = task.readout_moments(SHOTS)
    assert_mean(np.einsum("bc,bi,bcj->bij", prompt.y_query, prompt.x_query, readout), cross)
    assert_mean(np.einsum("bci,bcj->bij", readout, readout), moment)
    model, risk = one_layer_optimum(task, shots=SHOTS)
    assert risk < task.zero_risk
    assert_mean(((predict(model, prompt) - prompt.y_query) ** 2).sum(1), risk)
    exact = population_risk(model, task, shots=SHOTS)
    assert exact.direction == "exact"
    assert exact.value == pytest.approx(risk, rel=1e-12)


@over_tasks
def test_best_readout(task: VectorRegression | OneHotClassification, rng: np.random.Generator) -> None:
    """ŷ = B S_yx Pᵀ x_q: neither another P nor another B has a smaller risk, on common prompts."""
    model, _ = one_layer_optimum(task, shots=SHOTS)
    dim, prompt = task.dim, task.sample(4, BATCH, SHOTS)
    best = ((predict(model, prompt) - prompt.y_query) ** 2).sum(1)
    for _ in range(8):
        value, query = model.value.copy(), model.query.copy()
        value[0, dim:, dim:] += 0.3 * rng.standard_normal((task.outputs, task.outputs))
        query[0, :dim, :dim] += 0.3 * rng.standard_normal((dim, dim))
        for moved in (model.replace(value=value), model.replace(query=query)):
            worse = ((predict(moved, prompt) - prompt.y_query) ** 2).sum(1) - best
            assert worse.mean() > -6 * worse.std(ddof=1) / np.sqrt(BATCH)


def test_other_readouts() -> None:
    """Other readouts are sampled."""
    task = TASKS["one-hot"]
    model = random_weights(0, layers=1, token_dim=7, scale=1.0)
    risk = population_risk(model, task, shots=SHOTS, samples=20_000)
    assert risk.direction == "unbiased"
    prompt = task.sample(9, BATCH, SHOTS)
    error = ((predict(model, prompt) - prompt.y_query) ** 2).sum(1)
    assert abs(risk.value - error.mean()) < 6 * np.hypot(risk.stderr, error.std(ddof=1) / np.sqrt(BATCH))


@pytest.mark.parametrize("rho", [-0.95, -0.3, 0.0, 0.6, 0.99])
def test_bivariate_normal(rho: float) -> None:
    points = [(0.3, -0.5), (-1.0, -2.0), (0.0, 1.0), (2.0, 0.7), (-0.4, 0.0)]
    h, k = np.array(points).T
    law = multivariate_normal(np.zeros(2), np.array([[1, rho], [rho, 1]]))  # pyright: ignore[reportArgumentType]
    expected = [law.cdf(p) for p in points]
    np.testing.assert_allclose(_bivariate_normal_cdf(h, k, rho), expected, atol=1e-12)


@pytest.mark.parametrize("theta", [0.05, 1.0, 3.0])
def test_two_classes(theta: float) -> None:
    """Two inputs in one of two classes."""
    assert _same_class(theta, 2) == pytest.approx(1 - theta / np.pi, abs=1e-12)


def test_three_classes() -> None:
    """Against a sum over a fine grid, with the density itself."""
    theta = 1.1
    rho, step = np.cos(theta), 0.03
    h, k = np.meshgrid(*2 * (np.arange(-7, 7, step) + step / 2,))
    density = np.exp(-(h**2 - 2 * rho * h * k + k**2) / (2 * (1 - rho**2))) / (2 * np.pi * np.sqrt(1 - rho**2))
    expected = 3 * (density * _bivariate_normal_cdf(h, k, float(rho)) ** 2).sum() * step**2
    assert _same_class(theta, 3) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("dim", [1, 2, 7])
def test_two_classes_are_a_sign(dim: int) -> None:
    """One-hot labels of two classes carry a quarter of the signal of labels ±1, in each of two outputs."""
    two, sign = OneHotClassification(dim, 2, 1.3 * np.eye(dim)), LinearClassification(dim, 1.3 * np.eye(dim))
    np.testing.assert_allclose(two.readout_moments(5)[0], sign.readout_moments(5)[0] / 2, rtol=1e-12)
    assert two.class_signal == pytest.approx(1.3 / np.pi, rel=1e-12)


@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_all_outputs(kind: str) -> None:
    """Predict and module read all outputs."""
    task, model = TASKS["vector"], random_weights(2, layers=2, token_dim=5)
    prompt = task.sample(1, 3, SHOTS)
    got = predict(model.replace(kind=kind), prompt)
    for row, tokens, x_query in zip(got, prompt.tokens(), prompt.x_query, strict=True):
        query = np.concatenate([x_query, np.zeros(2)])
        np.testing.assert_allclose(row, -forward_by_token(model, tokens, query, kind=kind)[1][3:], rtol=1e-10)
    module = InContextTransformer(model.replace(kind=kind))
    same = module(*(np.float32(a) for a in (prompt.x, prompt.y, prompt.x_query)))
    np.testing.assert_allclose(same, got, rtol=1e-3, atol=1e-4)


def test_output_by_output() -> None:
    """Gradient descent output by output."""
    task = TASKS["vector"]
    prompt = task.sample(1, 3, 6)
    model = gradient_descent_weights(3, layers=2, step_size=0.2, label_projection=np.eye(2))
    got = predict(model, prompt)
    for row, x, y, x_query in zip(got, prompt.x, prompt.y, prompt.x_query, strict=True):
        for c in range(2):
            w = gradient_descent(x, y[:, c], steps=2, step_size=0.2)[-1]
            assert row[c] == pytest.approx(w @ x_query, rel=1e-10)


@pytest.mark.parametrize("heads", [None, 2])
def test_tied_module(heads: int | None) -> None:
    """Tied module has one layer of parameters."""
    matrices = np.random.default_rng(0).standard_normal((3, 2, *([heads] if heads else []), 4, 4)) / 3
    model = Model.create(*matrices, heads=heads)
    tied, prompt = InContextTransformer(model, tied=True), LinearRegression(3).sample(0, 4, 5)
    written_out = model.first_layers(1).repeated(2)
    assert tied.value[...].shape[0] == 1
    got = tied(*(jnp.float32(a) for a in (prompt.x, prompt.y, prompt.x_query)))
    np.testing.assert_allclose(got, predict(written_out, prompt), rtol=1e-3, atol=1e-4)
    assert jax.tree.map(np.shape, tied.model) == jax.tree.map(np.shape, written_out)


def test_accuracy() -> None:
    """Accuracy counts signs and classes."""
    sign, hot = LinearClassification(2), OneHotClassification(2, 3)
    for task in (sign, hot):
        model, _ = one_layer_optimum(task, shots=30)
        estimate = accuracy(model, task, shots=30, samples=20_000)
        prompt = task.sample(3, 20_000, 30)
        guess = predict(model, prompt)
        if task is sign:
            right = np.sign(guess) == prompt.y_query
        else:
            right = np.array([np.argmax(g) == np.argmax(y) for g, y in zip(guess, prompt.y_query, strict=True)])
        assert abs(estimate.value - right.mean()) < 6 * np.hypot(estimate.stderr, right.std() / np.sqrt(20_000))
        # The largest entry may be read off either sign of W_V: the other one is wrong where this one is right.
        other = accuracy(model.replace(readout="plus"), task, shots=30, samples=20_000)
        assert other.value < estimate.value - 0.2


def test_refusals() -> None:
    assert "outputs" in error_message(VectorRegression, 3, 1)
    assert "classes" in error_message(OneHotClassification, 3, 1)
    for task in (OneHotClassification(2, 3, np.diag([1.0, 2.0])), OneHotClassification(2, 3, inputs=Uniform())):
        assert not task.knows_moments
        assert "λI" in error_message(one_layer_optimum, task, shots=3)
        assert population_risk(one_layer_optimum(OneHotClassification(2, 3), shots=3)[0], task, shots=3).samples == 4096
    prompt = TASKS["vector"].sample(0, 2, 3)
    short = Prompt(prompt.x, prompt.y[:, :-1], prompt.x_query, prompt.y_query)
    assert "prompt.y" in error_message(predict, random_weights(0, layers=1, token_dim=5), short)
    assert "token dimension" in error_message(predict, random_weights(0, layers=1, token_dim=4), prompt)
