"""Sparse w, ReLU teachers and classification: what they sample, the moments they promise, and what they reject."""

import itertools
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assert_mean, error_message
from hypothesis import given
from hypothesis import strategies as st

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Model,
    ReLUTeacher,
    SparseLinearRegression,
    Task,
    bound_ladder,
    gradient_descent_agreement,
    gradient_descent_weights,
    one_layer_optimum,
    population_risk,
    predict,
    random_weights,
    shared_subsets,
)
from icl_theory.tasks.laws import Gaussian, Law, Uniform

LAMBDA = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 0.5]])
OMEGA = np.array([[1.0, -0.2, 0.1], [-0.2, 0.6, 0.0], [0.1, 0.0, 1.5]])
BATCH = 40_000
SHOTS = 4
TASKS: dict[str, Task] = {
    "linear": LinearRegression(3, LAMBDA, OMEGA, noise_std=0.7),
    "linear, uniform": LinearRegression(3, LAMBDA, OMEGA, noise_std=0.7, inputs=Uniform()),
    "sparse": SparseLinearRegression(3, LAMBDA, noise_std=0.7, nonzero=2),
    "sparse, uniform": SparseLinearRegression(3, LAMBDA, noise_std=0.7, inputs=Uniform(), nonzero=1),
    "relu": ReLUTeacher(3, 5, LAMBDA, noise_std=0.7),
    "relu, uniform": ReLUTeacher(3, 2, LAMBDA, inputs=Uniform()),
    "classification": LinearClassification(3, 1.7 * np.eye(3), flip_probability=0.1),
}
over_tasks = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())


def outer(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("bi,bj->bij", a, b)


@over_tasks
def test_moments_and_optimum(task: Task) -> None:
    """E y_q², E y_q x_q S_xyᵀ, E S_xy S_xyᵀ, and the optimum's risk, against prompts of a few tokens."""
    prompt = task.sample(3, BATCH, SHOTS)
    assert prompt.x.shape == (BATCH, SHOTS, 3)
    assert prompt.y.shape == (BATCH, SHOTS)
    assert_mean(outer(prompt.x_query, prompt.x_query), task.covariance)
    assert_mean(prompt.y_query**2, task.zero_risk)
    readout = np.einsum("bni,bn->bi", prompt.x, prompt.y) / SHOTS
    cross, moment = task.readout_moments(SHOTS)
    assert_mean(outer(prompt.y_query[:, None] * prompt.x_query, readout), cross)
    assert_mean(outer(readout, readout), moment)
    model, risk = one_layer_optimum(task, shots=SHOTS)
    assert risk < task.zero_risk
    assert_mean((predict(model, prompt) - prompt.y_query) ** 2, risk)
    assert population_risk(model, task, shots=SHOTS).value == pytest.approx(risk, rel=1e-12)


@over_tasks
@pytest.mark.parametrize("rank", [1, 3])
def test_best_of_its_rank(task: Task, rank: int, rng: np.random.Generator) -> None:
    """No preconditioner of the rank does better."""
    model, risk = one_layer_optimum(task, shots=SHOTS, rank=rank)
    best = model.query[0, :-1, :-1].T
    assert population_risk(model, task, shots=SHOTS).value == pytest.approx(risk, rel=1e-10)
    u, s, vt = np.linalg.svd(best)
    left, right = u[:, :rank] * s[:rank], vt[:rank]
    for size in (1.0, 1e-1, 1e-2):
        for _ in range(20):
            moved = (left + size * rng.standard_normal(left.shape)) @ (right + size * rng.standard_normal(right.shape))
            other = gradient_descent_weights(3, preconditioner=moved)
            assert population_risk(other, task, shots=SHOTS).value > risk


@over_tasks
def test_the_key_decides(task: Task) -> None:
    first, again, other = (task.sample(key, 3, 2) for key in (7, 7, 8))
    for name in ("x", "y", "x_query", "y_query"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert np.abs(first.x - other.x).min() > 0


@given(dim=st.integers(1, 6), shots=st.integers(1, 50), sigma=st.floats(0.0, 3.0))
def test_uniform_optimum(dim: int, shots: int, sigma: float) -> None:
    """E x⁴ = 9/5: M = I (N + d + 1 - 6/5 + σ²)/N, hence η* = N/(N + d - 1/5 + σ²)."""
    task = LinearRegression(dim, noise_std=sigma, inputs=Uniform())
    model, risk = one_layer_optimum(task, shots=shots)
    eta = shots / (shots + dim - 0.2 + sigma**2)
    assert_close(model.query[0, :dim, :dim], eta * np.eye(dim), 1e-9)
    assert risk == pytest.approx(dim * (1 - eta), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
def test_one_dimension_by_hand(inputs: Law) -> None:
    """d = 1, Λ = λ. ReLU: y = |x| α on either side of 0, with E α² = 1 and independent signs: E(E xy)² = λ²/2."""
    lam, sigma, n = 1.5, 0.6, 5
    fourth = {Gaussian(): 3.0, Uniform(): 9 / 5}[inputs] * lam**2
    cross, moment = ReLUTeacher(1, 3, [[lam]], sigma, inputs).readout_moments(n)
    assert_close(cross, np.array([[lam**2 / 2]]), 1e-14)
    assert_close(moment, np.array([[(fourth + sigma**2 * lam + (n - 1) * lam**2 / 2) / n]]), 1e-14)
    # One nonzero entry of one is a dense task.
    sparse = SparseLinearRegression(1, [[lam]], nonzero=1, noise_std=sigma, inputs=inputs)
    dense = LinearRegression(1, [[lam]], noise_std=sigma, inputs=inputs)
    model = random_weights(0, layers=1, token_dim=2)
    assert population_risk(model, sparse, shots=n).value == population_risk(model, dense, shots=n).value
    # Labels ±1: E xy = ±E|x|.
    task = LinearClassification(1, [[lam]], flip_probability=0.2)
    mean = 2 * lam / np.pi
    cross, moment = task.readout_moments(n)
    assert_close(cross, np.array([[0.6 * mean]]), 1e-14)
    assert_close(moment, np.array([[(lam + (n - 1) * 0.36 * mean) / n]]), 1e-14)


@pytest.mark.parametrize(("dim", "nonzero"), [(4, 1), (4, 2), (4, 4), (5, 3)])
def test_sparse_tasks(dim: int, nonzero: int, rng: np.random.Generator) -> None:
    task = SparseLinearRegression(dim, nonzero=nonzero)
    w = task.sample_tasks(rng, BATCH)
    assert set((w != 0).sum(1)) == {nonzero}
    assert_mean(w != 0, nonzero / dim)
    pair = nonzero * (nonzero - 1) / (dim * (dim - 1))
    assert_mean((w[:, 0] != 0) & (w[:, 1] != 0), pair)
    assert_mean(outer(w, w), np.eye(dim))
    a, b = (m + m.T for m in rng.standard_normal((2, dim, dim)))
    assert_mean(np.einsum("bi,ij,bj->b", w, a, w) * np.einsum("bi,ij,bj->b", w, b, w), task.task_quartic(a, b))
    # The definition: Isserlis on every support, averaged over the supports.
    total = []
    for support in itertools.combinations(range(dim), nonzero):
        part_a, part_b = (m[np.ix_(support, support)] for m in (a, b))
        total.append(np.trace(part_a) * np.trace(part_b) + 2 * np.trace(part_a @ part_b))
    assert task.task_quartic(a, b) == pytest.approx((dim / nonzero) ** 2 * np.mean(total), rel=1e-12)


def test_full_support(rng: np.random.Generator) -> None:
    """A full support is a dense task."""
    a, b = (m + m.T for m in rng.standard_normal((2, 3, 3)))
    assert SparseLinearRegression(3, nonzero=3).task_quartic(a, b) == pytest.approx(
        LinearRegression(3).task_quartic(a, b), rel=1e-12
    )


@pytest.mark.parametrize("inputs", [Gaussian(), Uniform()], ids=repr)
def test_relu_teacher(inputs: Law, rng: np.random.Generator) -> None:
    task = ReLUTeacher(3, 4, LAMBDA, noise_std=0.5, inputs=inputs)
    teachers = task.sample_tasks(rng, BATCH)
    assert_mean(teachers[:, :, :3] ** 2, 1.0)
    assert_mean(teachers[:, :, 3] ** 2, 2 / 4)
    x = task.sample_inputs(rng, (2, 5))
    y = task.labels(x, teachers[:2])
    for b, n in itertools.product(range(2), range(5)):
        by_unit = sum(row[3] * max(float(row[:3] @ x[b, n]), 0.0) for row in teachers[b])
        assert y[b, n] == pytest.approx(by_unit, rel=1e-12, abs=1e-12)
    # E[x y | teacher] = Λβ, β = ½ Σ a_k w_k, for one teacher.
    beta = teachers[0, :, 3] @ teachers[0, :, :3] / 2
    x = task.sample_inputs(rng, (1, BATCH))
    assert_mean(task.labels(x, teachers[:1])[0, :, None] * x[0], LAMBDA @ beta)
    # The linear floor, over teachers.
    betas = np.einsum("bh,bhd->bd", teachers[..., 3], teachers[..., :3]) / 2
    x = task.sample_inputs(rng, (BATCH, 1))
    assert_mean((task.labels(x, teachers)[:, 0] - np.einsum("bd,bd->b", x[:, 0], betas)) ** 2, task.linear_risk)
    noise = task.corrupted(rng, np.zeros(BATCH))
    assert_mean(noise**2, 0.25)


def test_flipped_labels(rng: np.random.Generator) -> None:
    """Only the demonstrations of a classification are flipped."""
    task = LinearClassification(2, flip_probability=0.3)
    w = task.sample_tasks(rng, BATCH)
    tokens = task.sample_tokens(rng, w, 2)
    clean = np.sign(np.einsum("bnd,bd->bn", tokens[..., :-1], w))
    assert set(np.unique(tokens[..., -1])) == {-1.0, 1.0}
    assert_mean(tokens[..., -1] != clean, 0.3)
    prompt = LinearClassification(1, flip_probability=0.3).sample(1, BATCH, 1)
    # d = 1: the query and the demonstration agree on sign(w) unless the demonstration was flipped.
    assert_mean(prompt.y_query * np.sign(prompt.x_query[:, 0]) == prompt.y[:, 0] * np.sign(prompt.x[:, 0, 0]), 0.7)
    assert LinearClassification(2).labels(np.zeros((1, 1, 2)), np.ones((1, 2))) == 1.0


def test_teachers_are_sampled() -> None:
    """Exact where ŷ = x_q · P S_xy; anything more, and anything deeper, comes from whole prompts with an error bar."""
    step = gradient_descent_weights(3)
    for name in ("relu", "classification"):
        assert population_risk(step, TASKS[name], shots=SHOTS).direction == "exact"
        for matrix, entry in ((step.value, (0, 3, 0)), (step.query, (0, 3, 0))):  # v_x alone, then B_y alone
            key = np.array(step.key)
            key[0, 3, 3] = 1.0
            controlled = matrix.copy()
            controlled[entry] = 1e-9
            name_of = "value" if matrix is step.value else "query"
            changed = step.replace(key=key, **{name_of: controlled})
            assert population_risk(changed, TASKS[name], shots=SHOTS, samples=64).direction == "unbiased"
        deep = gradient_descent_weights(3, layers=2, step_size=0.3)
        risk = population_risk(deep, TASKS[name], shots=SHOTS, samples=20_000)
        prompt = TASKS[name].sample(5, BATCH, SHOTS)
        error = (predict(deep, prompt) - prompt.y_query) ** 2
        stderr = np.hypot(risk.stderr, error.std(ddof=1) / np.sqrt(BATCH))
        assert abs(risk.value - error.mean()) < 6 * stderr < 0.5 * risk.value
    # Reading P S_xy through any split of P over W_V, W_K, W_Q is covered, in both readouts.
    value, key, query = np.zeros((3, 4, 4))
    value[3, 3], key[:3, :3], query[:3, :3] = 2.0, LAMBDA, OMEGA
    split = Model.create(value, key, query)
    prompt = TASKS["relu"].sample(5, BATCH, SHOTS)
    for readout in ("minus", "plus"):
        risk = population_risk(split.replace(readout=readout), TASKS["relu"], shots=SHOTS)
        assert risk.direction == "exact"
        assert_mean((predict(split.replace(readout=readout), prompt) - prompt.y_query) ** 2, risk.value)


LADDER: dict[str, Any] = {"demonstrations": 6, "shots": 3, "clip": 1.0, "samples": 4, "key": 0}


@pytest.mark.parametrize("name", ["linear, uniform", "sparse, uniform", "relu", "classification"])
def test_needs_gaussian(name: str) -> None:
    """What needs Gaussian linear regression raises an error."""
    task: Any = TASKS[name]
    model = random_weights(1, layers=1, token_dim=4)
    assert "comparison of subsets" in error_message(shared_subsets, model, task, **LADDER)
    assert "agreement" in error_message(gradient_descent_agreement, model, task, shots=3)


def test_sparse_tasks_reach_what_depends_on_gaussian_inputs_alone() -> None:
    """A ladder is about one fixed w, whatever its law; two layers sample w from its own law."""
    task: Any = TASKS["sparse"]
    w = np.array([1.0, 0.0, -2.0])
    model = random_weights(1, layers=1, token_dim=4)
    dense = LinearRegression(3, LAMBDA, noise_std=0.7)
    many: dict[str, Any] = LADDER | {"samples": 400}
    sparse_gap, dense_gap = (bound_ladder(model, t, task_vector=w, **many).gap for t in (task, dense))
    stderr = np.hypot(sparse_gap.stderr, dense_gap.stderr)
    assert abs(sparse_gap.value - dense_gap.value) < 6 * stderr < 0.3
    deep = random_weights(4, layers=2, token_dim=4, scale=0.25)
    sampled = population_risk(deep, task, shots=SHOTS, samples=40_000)
    prompt = task.sample(1, BATCH, SHOTS)
    error = (predict(deep, prompt) - prompt.y_query) ** 2
    stderr = np.hypot(sampled.stderr, error.std(ddof=1) / np.sqrt(BATCH))
    assert abs(sampled.value - error.mean()) < 6 * stderr < 0.3 * sampled.value


def test_teachers_refuse() -> None:
    for nonzero in (0, 4, 1.0, -1):
        assert "nonzero" in error_message(SparseLinearRegression, 3, nonzero=nonzero)
    for hidden in (0, 2.0, True):
        assert "hidden" in error_message(ReLUTeacher, 3, hidden)
    for flip in (-0.1, 0.6, np.nan, "0"):
        assert "flip_probability" in error_message(LinearClassification, 3, flip_probability=flip)
    for sigma in (-0.1, np.inf):
        assert "noise_std" in error_message(ReLUTeacher, 3, 2, noise_std=sigma)
        assert "noise_std" in error_message(SparseLinearRegression, 3, nonzero=1, noise_std=sigma)
    for make in (lambda **k: ReLUTeacher(3, 2, **k), lambda **k: LinearClassification(3, **k)):
        assert "covariance" in error_message(make, covariance=np.eye(2))
        assert "inputs" in error_message(make, inputs="cauchy")
        assert "shots" in error_message(make().sample, 0, 2, 0)
    for dim in (0, 1.0):
        assert "dim" in error_message(LinearClassification, dim)
        assert "dim" in error_message(ReLUTeacher, dim, 2)
