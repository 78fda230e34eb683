"""Standard errors of risks, accuracies and baselines: the formula, on the same draws recomputed block by block."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import forward_by_token
from influences import error_of_mean
from standard_errors import assert_mean_of

from icl_theory import (
    LinearClassification,
    LinearRegression,
    OneHotClassification,
    ReLUTeacher,
    SparseLinearRegression,
    VectorRegression,
    accuracy,
    bayes_risk,
    gradient_descent_weights,
    least_squares_risk,
    population_risk,
    random_weights,
    ridge_risk,
)
from icl_theory.core.estimate import Estimate
from icl_theory.risk.population import risk_and_losses, summary
from icl_theory.tasks.laws import Gaussian, Law, Uniform

UNIT = "squared error"
LAMBDA, OMEGA = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.2], [-0.2, 0.6]])
TASK = LinearRegression(2, LAMBDA, OMEGA, noise_std=0.7)


def blocks_of(monkeypatch: pytest.MonkeyPatch, module: str, entries: int) -> None:
    """Blocks of that many entries, so that few samples are already drawn in several of them."""
    monkeypatch.setattr(f"icl_theory.{module}.BLOCK_ENTRIES", entries)


@pytest.mark.parametrize("readout", ["minus", "plus"])
def test_deep_linear_model(readout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """37 losses from 4 blocks of 10 second moments out of one generator, the last 3 draws left over."""
    blocks_of(monkeypatch, "risk.population", 10 * 3**2)
    model, losses = random_weights(5, layers=2, token_dim=3, scale=0.8), []
    rng = np.random.default_rng(7)
    for _ in range(4):
        for s, w in zip(*TASK.sample_moments(rng, 10, 5), strict=True):
            m = np.eye(3)
            for value, key, query in zip(model.value, model.key, model.query, strict=True):
                m = m + value @ m @ s @ m.T @ key.T @ query @ m
            miss = (-m if readout == "minus" else m)[-1, :-1] - w
            losses.append(miss @ LAMBDA @ miss)
    options: dict[str, Any] = {"shots": 5, "samples": 37, "key": 7}
    model = model.replace(readout=readout)
    assert_mean_of(population_risk(model, TASK, **options), losses[:37], "unbiased", UNIT)
    found, each = risk_and_losses(model, TASK, **options)
    assert found == population_risk(model, TASK, **options)
    np.testing.assert_allclose(np.asarray(each), losses[:37], rtol=1e-9)


def predictions(model: Any, task: Any, sizes: list[int], shots: int, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """ŷ and y_q of prompts drawn block by block from one generator of seed 3, every forward pass in a loop."""
    rng, guesses, labels = np.random.default_rng(3), [], []
    for size in sizes:
        prompt = task.sample_prompts(rng, task.sample_tasks(rng, size), shots)
        for tokens, x_query in zip(prompt.tokens(), prompt.x_query, strict=True):
            query = np.append(x_query, np.zeros(task.outputs))
            guesses.append(-forward_by_token(model, tokens, query, **options)[1][task.dim :])
        labels.append(prompt.y_query.reshape(size, -1))
    return np.array(guesses), np.concatenate(labels)


def test_two_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """|ŷ - y_q|² is summed over the outputs; the number of samples is that of the prompts, not of the labels."""
    task = VectorRegression(2, 2, noise_std=0.4)
    blocks_of(monkeypatch, "risk.population", 8 * 3 * 4)
    model = random_weights(1, layers=2, token_dim=4, scale=0.9)
    guesses, labels = predictions(model, task, [8, 8, 8], 3, kind="softmax")
    expected = ((guesses - labels) ** 2).sum(1)[:23]
    found = population_risk(model.replace(kind="softmax"), task, shots=3, samples=23, key=3)
    assert_mean_of(found, expected, "unbiased", UNIT)


@pytest.mark.parametrize(
    "task", [LinearClassification(2, flip_probability=0.2), OneHotClassification(2, 3)], ids=["zero_one", "one-hot"]
)
def test_accuracy(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """sqrt(p (1 - p) / (n - 1)) with p the share of right answers, 31 prompts of the 32 in 4 blocks."""
    width = task.token_dim
    blocks_of(monkeypatch, "risk.population", 8 * 4 * width)
    model = random_weights(2, layers=1, token_dim=width, scale=1.5)
    guesses, labels = predictions(model, task, [8] * 4, 4)
    if task.outputs == 1:
        right = (np.sign(guesses) == labels)[:31, 0]
    else:
        right = (guesses.argmax(1) == labels.argmax(1))[:31]
    found = accuracy(model, task, shots=4, samples=31, key=3)
    share = right.mean()
    assert 0 < share < 1
    assert_mean_of(found, right, "unbiased", "accuracy")
    assert found.stderr == pytest.approx(math.sqrt(share * (1 - share) / 30), rel=1e-12)


def given_inputs(s: np.ndarray, shots: int, penalty: float, prior: np.ndarray) -> float:
    """Bias and variance of ridge regression given S_xx: w_λ = (S + λΠ⁻¹)⁻¹ S_xy."""
    smoother = np.linalg.inv(s + penalty * np.linalg.inv(prior)) if penalty else np.linalg.inv(s)
    miss = smoother @ s - np.eye(2)
    variance = TASK.noise_std**2 / shots * np.trace(LAMBDA @ smoother @ s @ smoother.T)
    return float(np.trace(LAMBDA @ miss @ OMEGA @ miss.T) + variance)


BASELINES: dict[str, tuple[Any, float, np.ndarray]] = {
    "ridge": (lambda task, **k: ridge_risk(task, penalty=0.3, **k), 0.3, np.eye(2)),
    "ridge with a prior": (lambda task, **k: ridge_risk(task, penalty=0.3, prior=LAMBDA, **k), 0.3, LAMBDA),
    "bayes": (bayes_risk, TASK.noise_std**2 / 9, OMEGA),
    "least squares": (least_squares_risk, 0.0, np.eye(2)),
}


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
@pytest.mark.parametrize("name", BASELINES)
def test_baselines_over_inputs(name: str, inputs: Law, monkeypatch: pytest.MonkeyPatch) -> None:
    """25 draws of S_xx in blocks of 10, 10 and 5 from one generator; d_y outputs have d_y times value and error."""
    function, penalty, prior = BASELINES[name]
    monkeypatch.setattr("icl_theory.risk.baselines._wishart_risk", lambda *_: None)
    blocks_of(monkeypatch, "risk.baselines", 10 * 3 * (3 if inputs == Gaussian() else 9))
    options = {"covariance": LAMBDA, "task_covariance": OMEGA, "noise_std": TASK.noise_std, "inputs": inputs}
    task, rng, values = LinearRegression(2, **options), np.random.default_rng(4), []
    for size in (10, 10, 5):
        if inputs == Gaussian():
            moments = task.sample_moments(rng, size, 9)[0][:, :2, :2]
        else:
            x = task.sample_inputs(rng, (size, 9))
            moments = np.einsum("kni,knj->kij", x, x) / 9
        values += [given_inputs(s, 9, penalty, prior) for s in moments]
    found = function(task, shots=9, samples=25, key=4)
    assert_mean_of(found, values, "unbiased", UNIT)
    several = function(VectorRegression(2, 3, **options), shots=9, samples=25, key=4)
    assert_mean_of(several, 3 * np.array(values), "unbiased", UNIT)


@pytest.mark.parametrize(
    "task", [ReLUTeacher(2, 2, noise_std=0.3), OneHotClassification(2, 3)], ids=["relu", "classes"]
)
@pytest.mark.parametrize("penalty", [0.0, 0.2])
def test_baselines_over_prompts(task: Any, penalty: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """14 prompts in blocks of 6, 6 and 2, the squared errors summed over the outputs."""
    blocks_of(monkeypatch, "risk.baselines", 6 * 7 * task.token_dim)
    rng, values = np.random.default_rng(6), []
    for size in (6, 6, 2):
        prompt = task.sample_prompts(rng, task.sample_tasks(rng, size), 7)
        for x, y, x_query, y_query in zip(prompt.x, prompt.y, prompt.x_query, prompt.y_query, strict=True):
            w = np.linalg.solve(x.T @ x + 7 * penalty * np.eye(2), x.T @ y)
            values.append(float(np.sum((x_query @ w - y_query) ** 2)))
    if penalty:
        found = ridge_risk(task, shots=7, penalty=penalty, samples=14, key=6)
    else:
        found = least_squares_risk(task, shots=7, samples=14, key=6)
    assert_mean_of(found, values, "unbiased", UNIT)


def sparse_loss(task: SparseLinearRegression, w: np.ndarray, tokens: np.ndarray) -> float:
    """(w̄ - w)ᵀ Λ (w̄ - w) with w̄ the mixture of the posteriors of one nonzero entry each, from label densities."""
    x, y, variance, noise = tokens[:, :-1], tokens[:, -1], float(task.dim), task.noise_std**2
    mean, total = np.zeros(task.dim), 0.0
    for i in range(task.dim):
        labels = variance * np.outer(x[:, i], x[:, i]) + noise * np.eye(len(y))
        density = math.exp(-0.5 * y @ np.linalg.solve(labels, y)) / math.sqrt(np.linalg.det(labels))
        mean[i] += density * variance * x[:, i] @ np.linalg.solve(labels, y)
        total += density
    miss = mean / total - w
    return float(miss @ task.covariance @ miss)


def test_sparse_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """11 prompts in blocks of 4, 4 and 3: (supports times s² entries) and the tokens count."""
    task = SparseLinearRegression(2, LAMBDA, noise_std=0.7, nonzero=1)
    blocks_of(monkeypatch, "risk.baselines", 4 * (2 + 5 * 3))
    rng, values = np.random.default_rng(8), []
    for size in (4, 4, 3):
        w = task.sample_tasks(rng, size)
        values += [sparse_loss(task, *pair) for pair in zip(w, task.sample_tokens(rng, w, 5), strict=True)]
    assert_mean_of(bayes_risk(task, shots=5, samples=11, key=8), values, "unbiased", UNIT)


def test_exact_has_no_error() -> None:
    """What is exact has no error bar."""
    clean = LinearRegression(2, LAMBDA)
    found = [
        population_risk(random_weights(0, layers=1, token_dim=3), TASK, shots=5),
        population_risk(gradient_descent_weights(2), ReLUTeacher(2, 2), shots=5),
        least_squares_risk(TASK, shots=9),
        least_squares_risk(VectorRegression(2, 3, noise_std=0.5), shots=9),
        least_squares_risk(TASK, shots=3),
        least_squares_risk(clean, shots=2),
        bayes_risk(clean, shots=2),
        bayes_risk(SparseLinearRegression(2, nonzero=1), shots=2),
    ]
    for estimate in found:
        assert (estimate.stderr, estimate.samples, estimate.direction, estimate.unit) == (0.0, 0, "exact", UNIT)
    assert found[3].value == pytest.approx(3 * 0.25 * 2 / 6, rel=1e-12)
    assert found[4].value == math.inf


def test_summary() -> None:
    """Mean and standard error of losses; overflow is counted in a note."""
    losses = np.array([1.0, 4.0, 2.5, 8.0])
    assert_mean_of(summary(losses), losses, "unbiased", UNIT)
    assert error_of_mean([0.0, 2.0]) == 1.0  # the reference itself: s = √2, divided by √2
    note = "1 of 3 samples overflow"
    assert summary(np.array([1.0, 2.0, np.inf])) == Estimate(math.inf, 0.0, 3, "unbiased", UNIT, note)
