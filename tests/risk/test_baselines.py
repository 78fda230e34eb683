"""Least squares, ridge and Bayes as functions of N: closed forms, sampled prompts, and Bayes below every model."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assert_mean, error_message

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Prompt,
    ReLUTeacher,
    SparseLinearRegression,
    Task,
    VectorRegression,
    bayes_risk,
    gradient_descent_weights,
    least_squares_predict,
    least_squares_risk,
    one_layer_optimum,
    population_risk,
    ridge_predict,
    ridge_risk,
)
from icl_theory.core.estimate import Estimate
from icl_theory.risk.sparse_posterior import posterior_mean
from icl_theory.tasks.laws import Gaussian, Law, Uniform

LAMBDA = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 0.5]])
OMEGA = np.array([[1.0, -0.2, 0.1], [-0.2, 0.6, 0.0], [0.1, 0.0, 1.5]])
SIGMA = 0.7
BATCH = 20_000


def make(**options: Any) -> LinearRegression:
    return LinearRegression(3, **({"covariance": LAMBDA, "task_covariance": OMEGA, "noise_std": SIGMA} | options))


def assert_risk(estimate: Estimate, predictions: np.ndarray, prompt: Prompt) -> None:
    """The estimate is the risk of these predictions within 6 joint standard errors, and those are small."""
    error = (predictions - np.asarray(prompt.y_query)) ** 2
    stderr = np.hypot(error.std(ddof=1) / np.sqrt(len(error)), estimate.stderr)
    assert abs(error.mean() - estimate.value) < 6 * stderr + 1e-12
    assert stderr <= 0.05 * estimate.value + 1e-12


def test_predictions(rng: np.random.Generator) -> None:
    """Normal equations solved prompt by prompt; for N < d the least-squares weight of least norm."""
    prior = OMEGA + np.eye(3)
    for shots in (2, 3, 7):
        prompt = make().sample(2, 5, shots)
        plain, ridge, bayes = least_squares_predict(prompt), ridge_predict(prompt, 0.3), None
        bayes = ridge_predict(prompt, 0.3, prior=prior)
        for k, (x, y, x_query) in enumerate(zip(prompt.x, prompt.y, prompt.x_query, strict=True)):
            expected = np.linalg.lstsq(x, y, rcond=None)[0] @ x_query
            assert plain[k] == pytest.approx(expected, rel=1e-9)
            gram, target = x.T @ x / shots, x.T @ y / shots
            assert ridge[k] == pytest.approx(np.linalg.solve(gram + 0.3 * np.eye(3), target) @ x_query, rel=1e-9)
            w = np.linalg.solve(gram + 0.3 * np.linalg.inv(prior), target)
            assert bayes[k] == pytest.approx(w @ x_query, rel=1e-9)
            # The objective: no neighbour of w is better.
            for _ in range(5):
                v = w + 1e-3 * rng.standard_normal(3)
                cost = [((x @ u - y) ** 2).mean() + 0.3 * u @ np.linalg.solve(prior, u) for u in (w, v)]
                assert cost[0] < cost[1]


def test_bayes_is_the_mean() -> None:
    """The prediction from the joint Gaussian of (y_1, ..., y_N, y_q) given the inputs, for a singular prior too."""
    prior = np.diag([1.0, 0.5, 0.0])
    prompt = make(task_covariance=prior).sample(4, 5, 4)
    predictions = ridge_predict(prompt, SIGMA**2 / 4, prior=prior)
    for k, (x, y, x_query) in enumerate(zip(prompt.x, prompt.y, prompt.x_query, strict=True)):
        labels = x @ prior @ x.T + SIGMA**2 * np.eye(4)
        assert predictions[k] == pytest.approx(x_query @ prior @ x.T @ np.linalg.solve(labels, y), rel=1e-9)


@pytest.mark.parametrize("shots", [6, 8, 20])
def test_least_squares(shots: int) -> None:
    """σ² d/(N - d - 1) whatever Λ and Ω are, against sampled prompts."""
    risk = least_squares_risk(make(), shots=shots)
    assert risk == Estimate(SIGMA**2 * 3 / (shots - 4), unit="squared error")
    prompt = make().sample(1, 4 * BATCH, shots)
    error = (least_squares_predict(prompt) - prompt.y_query) ** 2
    assert_mean(error, risk.value)


@pytest.mark.parametrize("shots", [1, 2, 3])
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_least_norm(shots: int, sigma: float) -> None:
    """d = 5, rank 5 and, in rotated coordinates, rank 5 of 6: λ tr(ΠΩ)(1 - N/r) + σ² N/(r - N - 1)."""
    flat = LinearRegression(5, 2.0 * np.eye(5), noise_std=sigma)
    expected = 2 * 5 * (1 - shots / 5) + sigma**2 * shots / (4 - shots)
    risk = least_squares_risk(flat, shots=shots)
    assert risk.direction == "exact"
    assert risk.value == pytest.approx(expected, rel=1e-12)
    if shots < 3:  # above, single prompts have no variance
        prompt = flat.sample(1, 2 * BATCH, shots)
        assert_mean((least_squares_predict(prompt) - prompt.y_query) ** 2, expected)
    rotation = np.linalg.qr(np.arange(36.0).reshape(6, 6) + np.diag([3.0, 1, 4, 1, 5, 9]))[0]
    singular = LinearRegression(6, rotation[:, :5] @ rotation[:, :5].T * 2, noise_std=sigma)
    assert least_squares_risk(singular, shots=shots).value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
def test_no_formula(inputs: Law) -> None:
    """Anisotropic with N < d, and uniform inputs: S_xx is sampled; prompts agree."""
    covariance = np.diag([3.0, 2.0, 1.0, 0.7, 0.5, 0.2, 0.1])
    task = LinearRegression(7, covariance, noise_std=0.5, inputs=inputs)
    risk = least_squares_risk(task, shots=2, samples=BATCH)
    assert risk.direction == "unbiased"
    assert risk.note == ""
    prompt = task.sample(5, 4 * BATCH, 2)
    assert_risk(risk, least_squares_predict(prompt), prompt)
    flat = LinearRegression(3, noise_std=SIGMA, inputs=inputs)
    many = least_squares_risk(flat, shots=12, samples=BATCH)
    assert many.direction == ("exact" if inputs == Gaussian() else "unbiased")
    prompt = flat.sample(6, 4 * BATCH, 12)
    assert_risk(many, least_squares_predict(prompt), prompt)


def test_sampled_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampled branch reproduces the closed form."""
    closed = [least_squares_risk(make(), shots=n).value for n in (8, 12)]
    monkeypatch.setattr("icl_theory.risk.baselines._wishart_risk", lambda *_: None)
    for value, shots in zip(closed, (8, 12), strict=True):
        sampled = least_squares_risk(make(), shots=shots, samples=BATCH, key=1)
        assert sampled.direction == "unbiased"
        assert abs(sampled.value - value) < 6 * sampled.stderr < 0.2 * value


def test_infinite_or_zero() -> None:
    """Least squares where the risk is infinite or zero."""
    for inputs in (Gaussian(), Uniform()):
        for shots in (2, 3, 4):
            risk = least_squares_risk(make(inputs=inputs), shots=shots)
            assert risk.value == math.inf
            assert "input rank 3" in risk.note
        assert "no finite variance" in least_squares_risk(make(inputs=Uniform()), shots=5, samples=10).note
        assert least_squares_risk(make(inputs=inputs, noise_std=0.0), shots=3) == Estimate(0.0, unit="squared error")
    # One shot less, without label noise, leaves a finite risk.
    assert 0 < least_squares_risk(make(noise_std=0.0), shots=2).value < make().zero_risk
    singular = make(covariance=np.diag([1.0, 0.5, 0.0]))
    assert least_squares_risk(singular, shots=6).value == pytest.approx(SIGMA**2 * 2 / 3)


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
@pytest.mark.parametrize("shots", [1, 3, 10])
def test_sampled_prompts(shots: int, inputs: Law) -> None:
    """Ridge and Bayes risks are those of sampled prompts."""
    task = make(inputs=inputs)
    prompt = task.sample(3, 2 * BATCH, shots)
    assert_risk(ridge_risk(task, shots=shots, penalty=0.4), ridge_predict(prompt, 0.4), prompt)
    prior = OMEGA @ OMEGA
    with_prior = ridge_risk(task, shots=shots, penalty=0.4, prior=prior)
    assert_risk(with_prior, ridge_predict(prompt, 0.4, prior=prior), prompt)
    bayes = bayes_risk(task, shots=shots)
    assert_risk(bayes, ridge_predict(prompt, SIGMA**2 / shots, prior=OMEGA), prompt)


def test_posterior_variance(rng: np.random.Generator) -> None:
    """E tr Λ (Ω^{-1} + N S_xx/σ²)^{-1}, on S_xx sampled apart."""
    bayes = bayes_risk(make(), shots=6, samples=BATCH)
    moments = make().sample_moments(rng, BATCH, 6)[0][:, :-1, :-1]
    posterior = np.linalg.inv(np.linalg.inv(OMEGA) + 6 * moments / SIGMA**2)
    variances = np.einsum("ij,bji->b", LAMBDA, posterior)
    stderr = np.hypot(bayes.stderr, variances.std(ddof=1) / np.sqrt(BATCH))
    assert abs(bayes.value - variances.mean()) < 6 * stderr < 0.05 * bayes.value


def test_bayes_without_noise() -> None:
    """0 once the tasks are determined; before that, for Λ = Ω = I, the unseen share of w: d (1 - N/d)."""
    clean = LinearRegression(3)
    assert bayes_risk(clean, shots=3) == Estimate(0.0, unit="squared error")
    # Rank 2, up to rounding: the third row is the sum of the other two.
    low_rank = LinearRegression(3, LAMBDA, np.array([[1.0, 0.3, 1.3], [0.3, 2.0, 2.3], [1.3, 2.3, 3.6]]))
    assert bayes_risk(low_rank, shots=2) == Estimate(0.0, unit="squared error")
    assert bayes_risk(low_rank, shots=1).value > 0.1
    for shots in (1, 2):
        risk = bayes_risk(clean, shots=shots)
        assert risk.value == pytest.approx(3 - shots, rel=1e-9)
    # The limit of small noise, where prior and inputs disagree.
    limit = bayes_risk(make(noise_std=1e-5), shots=2, key=3)
    assert bayes_risk(make(noise_std=0.0), shots=2, key=3).value == pytest.approx(limit.value, rel=1e-3)


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
def test_bayes_is_smallest(inputs: Law) -> None:
    """Bayes is below every model."""
    task = make(inputs=inputs)
    for shots in (1, 2, 5, 20, 100):
        bayes = bayes_risk(task, shots=shots)
        rivals = {
            "optimum": one_layer_optimum(task, shots=shots)[1],
            "step": population_risk(gradient_descent_weights(3, step_size=0.3), task, shots=shots).value,
            "zero": task.zero_risk,
            "least squares": least_squares_risk(task, shots=shots, samples=200).value,
        }
        for risk in rivals.values():
            assert bayes.value + 6 * bayes.stderr < risk
        # On equal S_xx the comparison needs no error bar.
        for penalty in (0.01, 0.1, 1.0):
            assert bayes.value < ridge_risk(task, shots=shots, penalty=penalty, prior=OMEGA).value
            assert bayes.value < ridge_risk(task, shots=shots, penalty=penalty).value


def test_deep_descent() -> None:
    """Deep gradient descent stays above Bayes."""
    task = make()
    for layers in (2, 4):
        descent = population_risk(
            gradient_descent_weights(3, layers=layers, step_size=0.2), task, shots=30, samples=BATCH
        )
        bayes = bayes_risk(task, shots=30)
        assert bayes.value + 6 * np.hypot(bayes.stderr, descent.stderr) < descent.value


def test_vanishing_penalty() -> None:
    """A vanishing penalty is least squares."""
    for shots in (2, 8):
        tiny = ridge_risk(make(), shots=shots, penalty=1e-30, samples=50)
        assert 0 < tiny.value < 1e3  # directions that S does not see must not be divided by the penalty
        prompt = make().sample(0, 4, shots)
        assert_close(ridge_predict(prompt, 1e-14), least_squares_predict(prompt), 1e-9)
    # Nor may directions that a singular prior excludes: its third row is the sum of the other two.
    prior = np.array([[1.0, 0.3, 1.3], [0.3, 2.0, 2.3], [1.3, 2.3, 3.6]])
    small, smaller = (ridge_risk(make(), shots=8, penalty=p, prior=prior, samples=50).value for p in (1e-9, 1e-30))
    assert smaller == pytest.approx(small, rel=1e-6)


def test_blocks_and_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal keys give equal results; blocks change the draws of second moments, not those of tokens."""
    for inputs in (Gaussian(), Uniform()):
        task = make(inputs=inputs)
        whole = bayes_risk(task, shots=4, samples=500)
        assert whole == bayes_risk(task, shots=4, samples=500, key=0)
        assert whole != bayes_risk(task, shots=4, samples=500, key=1)
        with monkeypatch.context() as patch:
            patch.setattr("icl_theory.risk.baselines.BLOCK_ENTRIES", 16 * 64)
            blocked = bayes_risk(task, shots=4, samples=500)
        assert blocked.samples == 500
        if inputs == Gaussian():
            assert 0 < abs(blocked.value - whole.value) < 6 * np.hypot(blocked.stderr, whole.stderr)
        else:  # tokens are drawn one after the other, so that blocks do not even change the draws
            assert blocked.value == pytest.approx(whole.value, rel=1e-12)


def test_sparse_second_moments() -> None:
    """Sparse tasks share what depends on second moments."""
    sparse, dense = SparseLinearRegression(3, LAMBDA, noise_std=SIGMA, nonzero=1), make(task_covariance=None)
    assert least_squares_risk(sparse, shots=9) == least_squares_risk(dense, shots=9)
    prompt = sparse.sample(8, 2 * BATCH, 4)
    assert_risk(ridge_risk(sparse, shots=4, penalty=0.2), ridge_predict(prompt, 0.2), prompt)


def posterior_by_quadrature(task: SparseLinearRegression, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """E[w | x, y] for one nonzero entry: a sum over its place and an integral over its value, no linear algebra."""
    values = np.linspace(-12, 12, 4001)
    prior = np.exp(-(values**2) / (2 * task.dim))
    weight = np.array(
        [[np.exp(-((y - v * x[:, i]) ** 2).sum() / (2 * task.noise_std**2)) for v in values] for i in range(task.dim)]
    )
    weight = weight * prior
    return (weight * values).sum(1) / weight.sum()


def test_sparse_bayes(rng: np.random.Generator) -> None:
    """Sparse Bayes is the mixture over supports."""
    task = SparseLinearRegression(3, LAMBDA, noise_std=SIGMA, nonzero=1)
    w = task.sample_tasks(rng, 3)
    tokens = task.sample_tokens(rng, w, 4)
    got = posterior_mean(task, tokens.swapaxes(1, 2) @ tokens / 4, 4)
    for mean, h in zip(got, tokens, strict=True):
        np.testing.assert_allclose(mean, posterior_by_quadrature(task, h[:, :-1], h[:, -1]), rtol=1e-6, atol=1e-9)
    full = SparseLinearRegression(3, LAMBDA, noise_std=SIGMA, nonzero=3)
    dense = LinearRegression(3, LAMBDA, noise_std=SIGMA)
    first, second = bayes_risk(full, shots=4, samples=20_000), bayes_risk(dense, shots=4)
    assert abs(first.value - second.value) < 6 * np.hypot(first.stderr, second.stderr)
    sparse = bayes_risk(task, shots=4, samples=20_000)
    assert sparse.value + 6 * sparse.stderr < second.value  # knowing that w is sparse helps
    assert bayes_risk(SparseLinearRegression(3, nonzero=1), shots=2).value == 0.0
    assert "N > s" in error_message(bayes_risk, SparseLinearRegression(3, nonzero=2), shots=2)
    assert "supports" in error_message(bayes_risk, SparseLinearRegression(30, nonzero=10, noise_std=1.0), shots=2)


@pytest.mark.parametrize("task", [ReLUTeacher(3, 2, noise_std=0.3), LinearClassification(3, flip_probability=0.1)])
def test_other_tasks(task: Task) -> None:
    """Other tasks sample whole prompts."""
    prompt = task.sample(8, BATCH, 4)
    assert_risk(ridge_risk(task, shots=4, penalty=0.2, samples=20_000), ridge_predict(prompt, 0.2), prompt)
    prompt = task.sample(8, BATCH, 9)
    assert_risk(least_squares_risk(task, shots=9, samples=20_000), least_squares_predict(prompt), prompt)


def test_outputs_add_up() -> None:
    """Several outputs with the same inputs: d_y times the risk of one, and predictions output by output."""
    one, three = make(), VectorRegression(3, 3, make().covariance, make().task_covariance, noise_std=make().noise_std)
    for function in (least_squares_risk, bayes_risk, lambda t, **k: ridge_risk(t, penalty=0.1, **k)):
        assert function(three, shots=9).value == pytest.approx(3 * function(one, shots=9).value, rel=1e-12)
    prompt = three.sample(0, 5, 9)
    for predict_with in (least_squares_predict, lambda p: ridge_predict(p, 0.1)):
        got = predict_with(prompt)
        assert got.shape == prompt.y_query.shape == (5, 3)
        for c in range(3):
            alone = Prompt(prompt.x, prompt.y[..., c], prompt.x_query, prompt.y_query[:, c])
            np.testing.assert_allclose(got[:, c], predict_with(alone), rtol=1e-10)
    whole = three.sample(1, BATCH, 9)
    error = ((ridge_predict(whole, 0.1) - whole.y_query) ** 2).sum(1)
    assert_mean(error, ridge_risk(three, shots=9, penalty=0.1, samples=20_000).value)


def test_baseline_errors() -> None:
    """Tasks, penalties, counts, keys, priors and prompts that do not fit."""
    for task in (ReLUTeacher(3, 2), LinearClassification(3)):
        assert "linear regression" in error_message(bayes_risk, task, shots=9)
    for penalty in (0.0, -1.0, np.nan):
        assert "penalty" in error_message(ridge_risk, make(), shots=9, penalty=penalty)
        assert "penalty" in error_message(ridge_predict, make().sample(0, 1, 2), penalty)
    for function in (least_squares_risk, bayes_risk, lambda t, **k: ridge_risk(t, penalty=0.1, **k)):
        assert "shots" in error_message(function, make(), shots=0)
        assert "samples" in error_message(function, make(), shots=9, samples=1)
    assert "key" in error_message(bayes_risk, make(), shots=9, key="seed")
    assert "prior" in error_message(ridge_risk, make(), shots=9, penalty=0.1, prior=np.eye(2))
    bad = Prompt(np.ones((2, 3, 2)), np.ones((2, 4)), np.ones((2, 2)), np.ones(2))
    assert "prompt.y" in error_message(least_squares_predict, bad)
    assert "Prompt" in error_message(least_squares_predict, np.ones((2, 3)))
