"""Every step of every task's sampling overridden by one line: who takes a task agrees with brute force or raises an
error.

Brute force knows nothing of closed forms: prompts of `task.sample`, tokens of `task.sample_tokens`, and `predict`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
from helpers import SHAPE_OF_A_REFUSAL

import icl_theory as it
from icl_theory.core.numerics import generator
from icl_theory.tasks import base
from icl_theory.tasks.base import Task, square_root
from icl_theory.tasks.closed_forms import STEPS
from icl_theory.training.config import CheckedConfig
from icl_theory.training.ensemble import initial_weights

DIM, SHOTS, COUNT = 2, 3, 6000
TASKS: dict[str, Callable[..., Task]] = {
    "linear": lambda cls=it.LinearRegression: cls(DIM, noise_std=0.3),
    "sparse": lambda cls=it.SparseLinearRegression: cls(DIM, noise_std=0.3, nonzero=1),
    "relu": lambda cls=it.ReLUTeacher: cls(DIM, 3, noise_std=0.3),
    "vector": lambda cls=it.VectorRegression: cls(DIM, 2, noise_std=0.3),
    "classification": lambda cls=it.LinearClassification: cls(DIM, flip_probability=0.1),
    "one-hot": lambda cls=it.OneHotClassification: cls(DIM, 3),
}


def other(labels: np.ndarray, task: Task) -> np.ndarray:
    """Other labels of the same kind: classes exchanged, numbers moved."""
    if not task.classifies:
        return labels + 1
    return np.roll(labels, 1, -1) if task.outputs > 1 else -labels


def overrides(cls: type) -> dict[str, Any]:
    """One line for each step that the class has."""
    made = {
        "sample_inputs": lambda self, rng, shape: 1 + 0.5 * cls.sample_inputs(self, rng, shape),  # pyright: ignore
        "input_root": property(lambda self: 1.5 * square_root(self.covariance)),
        "sample_tasks": lambda self, rng, batch: 1 + cls.sample_tasks(self, rng, batch),  # pyright: ignore
        "task_root": property(lambda self: 1.5 * np.eye(DIM)),
        "labels": lambda self, x, tasks: other(cls.labels(self, x, tasks), self),  # pyright: ignore
        "corrupted": lambda self, rng, labels: -cls.corrupted(self, rng, labels),  # pyright: ignore
        "sample_tokens": lambda self, rng, tasks, n: 0.5 * cls.sample_tokens(self, rng, tasks, n),  # pyright: ignore
        "sample_prompts": lambda self, rng, tasks, n: moved(cls.sample_prompts(self, rng, tasks, n), self),  # pyright: ignore
        "label_projection": property(lambda self: 0.5 * np.eye(self.outputs)),
    }
    assert set(made) == set(STEPS)
    return {step: line for step, line in made.items() if hasattr(cls, step)}


def moved(prompt: it.Prompt, task: Task) -> it.Prompt:
    return replace(prompt, x_query=0.5 * prompt.x_query, y_query=other(prompt.y_query, task))


GRID = [(name, step) for name, make in TASKS.items() for step in overrides(type(make()))]


def overridden(name: str, step: str) -> Task:
    cls = type(TASKS[name]())
    return TASKS[name](type(f"Own{cls.__name__}", (cls,), {step: overrides(cls)[step]}))


def attempt(work: Callable[[], Any]) -> Any:
    """What it returns, or None where it raises an error in one sentence."""
    try:
        return work()
    except ValueError as error:
        words = str(error)
    assert SHAPE_OF_A_REFUSAL.match(words), words
    return None


def squares(model: it.Model, prompt: it.Prompt) -> np.ndarray:
    """|ŷ - y_q|² of every prompt."""
    return ((it.predict(model, prompt) - prompt.y_query) ** 2).reshape(len(prompt.x), -1).sum(1)


def agree(value: float, stderr: float, losses: np.ndarray) -> None:
    """Within six standard errors of the mean of independent losses; the tails of two layers are heavy."""
    error = np.hypot(stderr, losses.std(ddof=1) / np.sqrt(len(losses)))
    assert abs(value - losses.mean()) <= 6 * error
    assert 0 < error < 0.3 * losses.mean() + 1e-9  # or the line above could not fail


def models_of(task: Task) -> list[it.Model]:
    step = it.gradient_descent_weights(DIM, step_size=0.4, label_projection=task.label_projection)
    random = it.random_weights(1, layers=1, token_dim=task.token_dim, scale=0.8)
    return [step, random, it.random_weights(3, layers=2, token_dim=task.token_dim, scale=0.3)]


over_the_grid = pytest.mark.parametrize(("name", "step"), GRID)


@over_the_grid
def test_risks(name: str, step: str) -> None:
    """Whole prompts can always be sampled, so that these never raise an error, the Bayes risk aside."""
    task = overridden(name, step)
    prompt = task.sample(11, COUNT, SHOTS)
    for model in models_of(task):
        found = it.population_risk(model, task, shots=SHOTS, samples=COUNT, key=1)
        agree(found.value, found.stderr, squares(model, prompt))
    if (
        np.ndim(prompt.y) == 2
    ):  # the noise of vectors and numbers is the same; six demonstrations leave a finite variance
        prompt = task.sample(12, COUNT, 7)
        for predict, found in (
            (it.least_squares_predict, it.least_squares_risk(task, shots=7, samples=COUNT, key=2)),
            (lambda p: it.ridge_predict(p, 0.2), it.ridge_risk(task, shots=7, penalty=0.2, samples=COUNT, key=2)),
        ):
            agree(found.value, found.stderr, (predict(prompt) - prompt.y_query) ** 2)
    assert attempt(lambda: it.bayes_risk(task, shots=SHOTS, samples=10)) is None


@over_the_grid
def test_baselines_of_vectors(name: str, step: str) -> None:
    task = overridden(name, step)
    if task.outputs > 1:
        prompt = task.sample(12, COUNT, 7)
        found = it.ridge_risk(task, shots=7, penalty=0.2, samples=COUNT, key=2)
        agree(found.value, found.stderr, ((it.ridge_predict(prompt, 0.2) - prompt.y_query) ** 2).sum(1))


@over_the_grid
def test_accuracy(name: str, step: str) -> None:
    task = overridden(name, step)
    model, prompt = models_of(task)[0], task.sample(11, COUNT, SHOTS)
    found = attempt(lambda: it.accuracy(model, task, shots=SHOTS, samples=COUNT))
    assert (found is not None) == (name in ("classification", "one-hot"))
    if found is not None:
        guess = it.predict(model, prompt)
        right = guess.argmax(-1) == prompt.y_query.argmax(-1) if guess.ndim == 2 else guess * prompt.y_query > 0
        agree(found.value, found.stderr, right.astype(float))


@over_the_grid
def test_optimum_and_curves(name: str, step: str) -> None:
    """There is no sampled version of them."""
    task = overridden(name, step)
    assert not task.knows_moments
    assert attempt(lambda: it.one_layer_optimum(task, shots=SHOTS)) is None
    assert attempt(lambda: it.truncation_curves(task, shots=SHOTS)) is None


@over_the_grid
def test_training(name: str, step: str) -> None:
    """The loss before the first step is the risk of the first weights."""
    task, batch = overridden(name, step), 4096
    found = it.train(task, 5, layers=1, shots=SHOTS, steps=2, seeds=1, batch=batch)
    config = CheckedConfig(layers=1, shots=SHOTS, steps=2, seeds=1, batch=batch, learning_rate=0.02)
    first = initial_weights(generator(5), config, task.token_dim, task.outputs)
    losses = squares(first.member(0), task.sample(11, batch, SHOTS))
    agree(float(found.losses[0, 0]), float(losses.std() / np.sqrt(batch)), losses)
    assert attempt(lambda: it.train(task, 5, layers=1, shots=SHOTS, steps=2, seeds=1, stop_excess=0.1)) is None


LADDER: dict[str, Any] = {"demonstrations": 9, "shots": 3, "clip": 2.0, "samples": 64, "key": 3}
FIXED = ("sample_tasks", "task_root", "label_projection")
"""Steps that do not matter once w is fixed, to tasks whose tokens are Gaussian."""


@over_the_grid
def test_ladders(name: str, step: str) -> None:
    """Tokens as `sample_tokens` draws them, for the function drawn from the key; an error for prompts made otherwise.

    Shared subsets are for Gaussian tokens alone.
    """
    task: Any = overridden(name, step)
    model = it.random_weights(1, layers=1, token_dim=task.token_dim, scale=0.8)
    options: dict[str, Any] = {**LADDER, "samples": 800}
    w = task.sample_tasks(generator(3), 1)[0]
    found = attempt(lambda: it.bound_ladder(model, task, **options))
    sweep = attempt(lambda: it.rank_sweep(model, task, ranks=[2], tasks=1, **options))
    shared = attempt(lambda: it.shared_subsets(model, task, **LADDER))
    assert (found is None) == (sweep is None) == (step == "sample_prompts")
    gaussian = name in ("linear", "sparse") and step in FIXED
    assert (shared is not None) == gaussian
    if found is None:
        return
    unseen, seen = losses_by_hand(model, task, w)
    agree(found.population_loss.value, found.population_loss.stderr, unseen)
    agree(found.empirical_loss.value, found.empirical_loss.stderr, seen)
    cut, risk = it.truncate_weights(model, layer=0, module="value", rank=2), sweep[0]["population_risk"]
    agree(risk["value"], risk["stderr"], squares(cut, task.sample(11, COUNT, SHOTS)))
    if gaussian:
        plain = cast(Any, TASKS[name]())
        assert found.rungs == it.bound_ladder(model, plain, task_vector=w, **options).rungs
        assert shared.gap == it.shared_subsets(model, plain, task_vector=w, **LADDER).gap


def losses_by_hand(model: it.Model, task: it.Task, function: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clipped losses of W = Σ_i c_i g_i on fresh tokens and on its own, g_i the gradient of a demonstration.

    The c_i have mean 1/N and the covariance of which b of N are shown, so W has mean G and covariance C.
    """
    count, total, shown, clip = 4 * COUNT, LADDER["demonstrations"], LADDER["shots"], LADDER["clip"]
    tokens = task.sample_tokens(generator(21), np.repeat(function[None], count, 0), 2 * total)
    own, fresh = tokens[:, :total], tokens[:, total:]
    z = np.random.default_rng(22).standard_normal((count, total))
    spread = np.sqrt((total - shown) / (shown * (total - 1) * total))
    shares = 1 / total + spread * (z - z.mean(1, keepdims=True))
    left, right = own @ model.value[0].T, own @ (model.key[0].T @ model.query[0])
    p = -np.einsum("ki,kiy,kix->kyx", shares, left[..., DIM:], right[..., :DIM])
    return tuple(  # pyright: ignore[reportReturnType]
        np.minimum(((np.einsum("kix,kyx->kiy", h[..., :DIM], p) - h[..., DIM:]) ** 2).sum(-1), clip).mean(1)
        for h in (fresh, own)
    )


@over_the_grid
def test_agreement(name: str, step: str) -> None:
    """Agreement with gradient descent."""
    task: Any = overridden(name, step)
    model = it.random_weights(1, layers=1, token_dim=task.token_dim, scale=0.8)
    found = attempt(lambda: it.gradient_descent_agreement(model, task, shots=SHOTS, prompts=3000))
    assert (found is not None) == (name in ("linear", "sparse") and step in FIXED)
    if found is not None:
        prompt, eta = task.sample(4, COUNT, SHOTS), float(found.step_size[0])
        w = eta * np.einsum("bni,bn->bi", prompt.x, prompt.y) / SHOTS  # one step from 0
        apart = (it.predict(model, prompt) - (w * prompt.x_query).sum(1)) ** 2
        value = found.final.prediction_difference
        agree(value.value**2, 2 * value.value * value.stderr, apart)


@over_the_grid
def test_supersamples(name: str, step: str) -> None:
    """Independent tokens of one function, as `sample_tokens` draws them; no answer where prompts are made otherwise."""
    task, clip = overridden(name, step), 2.0
    model = it.random_weights(1, layers=1, token_dim=task.token_dim, scale=0.8)
    vector = task.sample_tasks(generator(8), 1)[0]
    options: dict[str, Any] = {"demonstrations": SHOTS, "supersamples": 400, "key": 0, "task_vector": vector}
    found = attempt(lambda: it.supersample_bounds(model, task, loss="clipped_squared", clip=clip, **options))
    assert (found is None) == (step == "sample_prompts")
    if found is not None:
        tokens = task.sample_tokens(generator(9), np.repeat(vector[None], COUNT, 0), SHOTS + 1)
        x, y = tokens[..., :DIM], tokens[..., DIM:] if task.outputs > 1 else tokens[..., DIM]
        prompt = it.Prompt(x[:, :-1], y[:, :-1], x[:, -1], y[:, -1])
        agree(found.population_loss.value, found.population_loss.stderr, np.minimum(squares(model, prompt), clip))


@over_the_grid
def test_clipping_search(name: str, step: str) -> None:
    task = overridden(name, step)
    model = it.random_weights(1, layers=1, token_dim=task.token_dim, scale=0.8)
    found = it.search_clipping_rate(model, task, shots=SHOTS, module="value", top=1, rates=(0.0,), prompts=COUNT)
    agree(found.test_loss.value, found.test_loss.stderr, squares(model, task.sample(11, COUNT, SHOTS)))


def test_overridden_sample() -> None:
    """An override of sample itself is an error."""

    def make() -> type:
        return type("Own", (it.LinearRegression,), {"sample": lambda self, key, batch, shots: None})

    with pytest.raises(ValueError, match=r"Own\.sample: got an override, expected sample_prompts"):
        make()


@pytest.mark.parametrize(
    "step", ["sample_inputs", "input_root", "sample_tasks", "labels", "corrupted", "sample_prompts"]
)
def test_control(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: where closed forms are not withdrawn, brute force finds them out."""
    monkeypatch.setattr(base, "withdraw", lambda cls: None)
    task = overridden("linear", step)
    prompt, wrong = task.sample(11, COUNT, SHOTS), 0
    for model in models_of(task):
        found = it.population_risk(model, task, shots=SHOTS, samples=COUNT, key=1)
        losses = squares(model, prompt)
        wrong += abs(found.value - losses.mean()) > 6 * np.hypot(found.stderr, losses.std() / np.sqrt(COUNT))
    assert wrong
