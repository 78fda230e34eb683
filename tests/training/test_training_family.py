"""Training beyond one linear head: every model and task learns, finite sets are finite, and the two samplings agree."""

from typing import Any

import jax
import numpy as np
import pytest
from helpers import assert_same_mean, error_message

from icl_theory.descent.agreement import gradient_descent_agreement
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.risk.population import accuracy, population_risk
from icl_theory.tasks.base import Task
from icl_theory.tasks.classification import LinearClassification, OneHotClassification
from icl_theory.tasks.laws import Uniform
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.relu_teacher import ReLUTeacher
from icl_theory.tasks.sparse_regression import SparseLinearRegression
from icl_theory.tasks.vector_regression import VectorRegression
from icl_theory.training.config import CheckedConfig
from icl_theory.training.ensemble import batch_loss, initial_weights
from icl_theory.training.prompt_sources import MomentSource, Pool, TokenMomentSource, TokenSource
from icl_theory.training.train import train

DIM, SHOTS = 3, 7
LAMBDA = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 0.5]])
LINEAR = LinearRegression(DIM, LAMBDA, np.diag([1.0, 2.0, 0.5]), noise_std=0.5)
UNIFORM = LinearRegression(DIM, LAMBDA, np.diag([1.0, 2.0, 0.5]), noise_std=0.5, inputs=Uniform())
SPARSE = SparseLinearRegression(DIM, LAMBDA, noise_std=0.5, nonzero=1)


def losses_and_gradients(source: Any, task: Task, config: CheckedConfig, batches: int, key: int) -> np.ndarray:
    """Loss and gradient of many independent batches at one fixed set of weights, one row per batch."""
    model = jax.tree.map(
        lambda a: a[0], initial_weights(np.random.default_rng(5), config, task.token_dim, task.outputs)
    )
    noise = np.float32(getattr(task, "noise_std", 0.0))
    data = np.float32(task.input_root), np.float32(task.covariance), noise, config.shots
    draws = source.draw(np.random.default_rng(key), (batches, config.batch))
    both = jax.value_and_grad(lambda w, d: batch_loss(w, d, data, config.layers if config.tied else 1))
    loss, gradient = jax.jit(lambda d: jax.lax.map(lambda one: both(model, one), d))(draws)
    return np.column_stack([loss, *(np.asarray(g).reshape(batches, -1) for g in jax.tree.leaves(gradient))])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "changes"),
    [
        (LINEAR, {}),
        (LINEAR, {"layers": 2}),
        (LINEAR, {"heads": 2, "tied": True, "layers": 2}),
        (LINEAR, {"hidden": 5}),
        (UNIFORM, {}),
        (SPARSE, {}),
    ],
    ids=["one", "two", "heads-tied", "mlp", "uniform", "sparse"],
)
def test_moments_agree_with_tokens(task: LinearRegression, changes: dict[str, Any]) -> None:
    """Same mean of the loss and of every entry of its gradient, though one integrates x_q out and sees no token."""
    options: dict[str, Any] = {"layers": 1, "shots": SHOTS, "steps": 1, "seeds": 1, "batch": 64} | changes
    scale = 0.6 if options["layers"] == 1 else 0.25  # deep models have heavy tails
    config = CheckedConfig(**options, learning_rate=0.1, init_scale=scale)
    direct = MomentSource(task, SHOTS) if task.draws_moments else TokenMomentSource(task, SHOTS)
    ours = losses_and_gradients(direct, task, config, 800, 1)
    theirs = losses_and_gradients(TokenSource(task, SHOTS), task, config, 800, 2)
    # Entries that are zero in theory are rounding, of one sign in either method: they are set aside by their size.
    real = np.abs(ours).max(0) > 1e-5 * np.abs(ours).max()
    assert real.sum() > DIM + 1
    assert_same_mean(ours[:, real].astype(np.float64), theirs[:, real].astype(np.float64))
    assert np.abs(theirs[:, ~real]).max(initial=0.0) < 1e-4 * np.abs(theirs).max()
    spread = ours.std(0, ddof=1) / np.sqrt(len(ours))
    assert spread[0] < 0.02 * ours[:, 0].mean()  # or the comparison could not fail
    assert ours[:, 0].std() < theirs[:, 0].std()  # the query is integrated out


def test_other_shots() -> None:
    """The control of the test above."""
    config = CheckedConfig(layers=1, shots=SHOTS, steps=1, seeds=1, batch=64, learning_rate=0.1, init_scale=0.6)
    ours = losses_and_gradients(MomentSource(LINEAR, SHOTS), LINEAR, config, 800, 1)
    other = losses_and_gradients(TokenSource(LINEAR, SHOTS - 3), LINEAR, config, 800, 2)
    with pytest.raises(AssertionError):
        assert_same_mean(ours.astype(np.float64), other.astype(np.float64))


def test_finite_set() -> None:
    """A finite set is finite and the same for both samplings."""

    def pool(linear: bool) -> Pool:
        return Pool(TokenSource(LINEAR, SHOTS), np.random.default_rng(0), 2, 3, 4, linear)

    tokens, moments = pool(False), pool(True)
    first = tokens.draw(np.random.default_rng(1), (2, 5, 6))
    assert first["x"].shape == (2, 5, 6, SHOTS, DIM)
    for seed in range(2):
        whole = tokens.prompts["x_query"][seed]
        assert len({q.tobytes() for q in whole}) == 12
        assert {q.tobytes() for q in first["x_query"][seed].reshape(-1, DIM)} <= {q.tobytes() for q in whole}
    assert not {q.tobytes() for q in tokens.prompts["x_query"][0]} & {q.tobytes() for q in tokens.prompts["x_query"][1]}
    # Noise-free query labels of one task are linear in x_q: four prompts of a task have rank DIM, not 4.
    for task in range(3):
        part = slice(4 * task, 4 * task + 4)
        x, y = tokens.prompts["x_query"][0, part], tokens.prompts["y_query"][0, part]
        assert np.linalg.lstsq(x, y, rcond=None)[1] < 1e-9
    options: dict[str, Any] = {"layers": 2, "shots": SHOTS, "steps": 30, "seeds": 2, "batch": 16, "tasks": 3}
    one = train(LINEAR, 0, **options, prompts_per_task=4)
    two = train(LINEAR, 0, **options, prompts_per_task=4, sampling="tokens")
    np.testing.assert_allclose(one.losses, two.losses, rtol=2e-3)
    assert "moments" in moments.prompts
    assert "x" not in moments.prompts


def test_few_tasks_memorised() -> None:
    """A finite pre-training set has a gap between its loss and the population risk; a large one hardly has any."""
    task, gaps = LinearRegression(DIM), []
    for tasks in (8, 4096):
        result = train(task, 0, layers=1, shots=SHOTS, seeds=4, steps=600, tasks=tasks)
        risk = [population_risk(result.models.member(s), task, shots=SHOTS).value for s in range(4)]
        gaps.append(np.median(risk) / np.median(result.losses[:, -100:].mean(1)))
    assert gaps[0] > 3
    assert gaps[1] < 1.2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "share"),
    [
        ({"kind": "softmax"}, 0.9),
        ({"kind": "softmax", "mask": "causal", "layers": 2}, 0.9),
        ({"mask": "causal", "layers": 2}, 0.5),
        ({"hidden": 8, "activation": "relu"}, 0.75),
        ({"hidden": 8, "layers": 2}, 0.5),
        ({"heads": 2, "layers": 2}, 0.45),
        ({"tied": True, "layers": 3}, 0.45),
        ({"readout": "plus", "kind": "softmax", "heads": 2}, 0.9),
    ],
    ids=lambda value: "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else "",
)
def test_every_model_learns(model: dict[str, Any], share: float) -> None:
    """The population risk falls below a share of that of predicting zero, and the last losses estimate that risk."""
    options: dict[str, Any] = {"layers": 1, "readout": "minus"} | model
    task = LinearRegression(DIM)
    result = train(task, 0, shots=SHOTS, seeds=2, steps=500, **options)
    assert not result.diverged.any()
    for seed in range(2):
        risk = population_risk(result.models.member(seed), task, shots=SHOTS, samples=20_000, key=1)
        assert risk.value < share * task.zero_risk
        last = result.losses[seed, -50:]
        stderr = np.hypot(risk.stderr, last.std(ddof=1) / np.sqrt(50))
        assert abs(last.mean() - risk.value) < 6 * stderr + 0.02 * risk.value
    if options.get("tied"):
        np.testing.assert_array_equal(result.models.value[:, 0], result.models.value[:, 2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "within"),
    [
        (UNIFORM, 0.02),
        (SPARSE, 0.02),
        (VectorRegression(DIM, 2, noise_std=0.3), 0.05),
        (ReLUTeacher(DIM, 4), 0.06),
        (LinearClassification(DIM, flip_probability=0.1), 0.05),
        (OneHotClassification(DIM, 3), 0.05),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Task) else "",
)
def test_every_task_is_learnt(task: Task, within: float) -> None:
    """Every task reaches its one layer optimum."""
    result = train(task, 0, layers=1, shots=SHOTS, seeds=2, steps=800, batch=128)
    optimum = one_layer_optimum(task, shots=SHOTS)[1]
    for seed in range(2):
        risk = population_risk(result.models.member(seed), task, shots=SHOTS, samples=100_000, key=1)
        assert risk.value < (1 + within) * optimum + 6 * risk.stderr
        assert risk.value > optimum - 6 * risk.stderr
        assert risk.stderr < 0.02 * optimum


@pytest.mark.parametrize(("task", "chance"), [(LinearClassification(DIM), 0.5), (OneHotClassification(DIM, 4), 0.25)])
def test_classification_is_learnt(task: Any, chance: float) -> None:
    result = train(task, 0, layers=1, shots=20, seeds=1, steps=300)
    trained = accuracy(result.models.member(0), task, shots=20)
    untrained = train(task, 0, layers=1, shots=20, seeds=1, steps=1, learning_rate=1e-6, init_scale=1e-3)
    flat = jax.tree.map(np.zeros_like, untrained.models.member(0))
    assert trained.value > chance + 0.25
    assert trained.unit == "accuracy"
    blind = accuracy(flat, task, shots=20)
    assert abs(blind.value - chance) < 6 * blind.stderr
    assert "classification" in error_message(
        accuracy, result.models.member(0), LinearRegression(task.token_dim - 1), shots=3
    )


def test_tied_gd_plus_plus() -> None:
    """von Oswald et al. 2023, Section 3: far nearer to GD++ than to plain gradient descent, on unseen prompts."""
    task = LinearRegression(5)
    result = train(task, 0, layers=2, shots=20, seeds=3, steps=1000, tied=True)
    plus, plain = (
        gradient_descent_agreement(result.models, task, shots=20, prompts=128, key=1, scheme=scheme).final
        for scheme in ("gd++", "gd")
    )
    assert plus.prediction_difference.value < 0.2 * plain.prediction_difference.value
    assert plus.sensitivity_cosine.value > 0.999 > plain.sensitivity_cosine.value


def test_ten_dimensions_ten_shots() -> None:
    """Issue of the gradient-descent view at d = N = 10: cosine at least 0.998, risk within 1 % of the optimum."""
    task = LinearRegression(10)
    result = train(task, 0, layers=1, shots=10, seeds=4)
    cosine = gradient_descent_agreement(result.models, task, shots=10, prompts=256, key=1).final.sensitivity_cosine
    assert cosine.value - 3 * cosine.stderr > 0.998
    optimum = one_layer_optimum(task, shots=10)[1]
    for seed in range(4):
        assert optimum < population_risk(result.models.member(seed), task, shots=10).value < 1.01 * optimum


def test_refusals() -> None:
    options: dict[str, Any] = {"layers": 1, "shots": 5, "steps": 2, "seeds": 1}
    for changes, word in (
        ({"sampling": "moments", "kind": "softmax"}, "sampling"),
        ({"sampling": "moments", "mask": "causal", "layers": 2}, "sampling"),
        ({"sampling": "moments", "hidden": 3, "activation": "relu"}, "sampling"),
        ({"heads": 0}, "heads"),
        ({"hidden": -1}, "hidden"),
        ({"kind": "cubic"}, "kind"),
        ({"mask": "none"}, "mask"),
        ({"sampling": "both"}, "sampling"),
        ({"tasks": 0}, "tasks"),
        ({"prompts_per_task": 3}, "prompts_per_task"),
        ({"stop_excess": 0.1, "kind": "softmax"}, "stop_excess"),
    ):
        assert word in error_message(train, LINEAR, 0, **(options | changes))
    assert "sampling" in error_message(train, ReLUTeacher(3, 2), 0, **options, sampling="moments")
