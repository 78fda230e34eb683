"""A closed form is taken away by an override of what it rests on, and comes back where it is restated."""

from typing import Any

import numpy as np
import pytest
from helpers import error_message

from icl_theory import (
    LinearRegression,
    OneHotClassification,
    SparseLinearRegression,
    VectorRegression,
    one_layer_optimum,
)
from icl_theory.core import checks
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import STEPS, known, rests_on, withdraw


class Base:
    def step(self) -> float:
        return 1.0

    def labels(self) -> float:
        return 1.0

    @rests_on("labels")
    def form(self) -> str:
        return "base"

    @property
    @rests_on("labels", "corrupted")
    def value(self) -> str:
        return "base value"

    def free(self) -> str:
        return "never marked"


def of(*bases: type, **members: Any) -> Any:
    made = type("Own", bases, members)
    withdraw(made)
    return made()


def override(self: Any) -> float:  # noqa: ARG001
    return 2.0


def test_withdrawn() -> None:
    """What rests on an override raises an error with the reason."""
    own = of(Base, labels=override)
    words = error_message(own.form)
    assert "a Own, which overrides labels, on which form of Base rests" in words
    assert "form = Base.form if it still holds" in words
    assert "value of Base rests" in error_message(lambda: own.value)
    assert own.free() == "never marked"
    assert of(Base, step=override).form() == "base"


def test_restated() -> None:
    """What is restated beside the override counts."""
    assert of(Base, labels=override, form=Base.form, value=Base.value).form() == "base"
    own = of(Base, labels=override, form=lambda self: "mine")
    assert own.form() == "mine"
    assert "value" in error_message(lambda: own.value)


def test_a_grandchild() -> None:
    child = type(of(Base, labels=override))
    assert "overrides labels" in error_message(of(child).form)  # nothing new: still away
    assert of(child, form=lambda self: "mine").form() == "mine"
    stated = type(of(Base, labels=override, form=lambda self: "mine"))
    # What a user states without saying what it rests on rests on everything.
    assert "overrides corrupted, on which form of Own rests" in error_message(of(stated, corrupted=override).form)
    assert of(stated, step=override).form() == "mine"


def test_order_of_bases() -> None:
    """A mixin that stands in front overrides, one that stands behind does not."""

    class Mixin:
        labels = override

    assert "overrides labels" in error_message(of(Mixin, Base).form)
    assert of(Base, Mixin).form() == "base"


def test_known() -> None:
    assert known(lambda x: x + 1, 2) == 3
    assert known(lambda: of(Base, labels=override).value) is None
    with pytest.raises(ValueError, match="plain"):
        known(raising, ValueError("a plain one"))

    def red_baseline() -> None:
        raise checks.error("a", "b", "c", "d")

    assert known(red_baseline) is None


def raising(error: Exception) -> None:
    raise error


def test_steps_are_methods() -> None:
    """A step that was renamed would rest on nothing."""
    for step in STEPS:
        assert hasattr(VectorRegression, step)
    marks = {
        step
        for cls in (Task, *Task.__subclasses__(), SparseLinearRegression)
        for value in vars(cls).values()
        for step in getattr(getattr(value, "fget", None) or getattr(value, "func", value), "rests_on", ())
    }
    assert marks <= set(STEPS)


def test_restated_moments() -> None:
    """Inputs drawn with replacement from a fixed table of equal second moments: E u⁴ = 1, stated by hand."""

    class Signs(LinearRegression):
        def sample_inputs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
            return rng.choice([-1.0, 1.0], size=(*shape, self.dim))

        def input_quartic(self, matrix: np.ndarray) -> np.ndarray:
            return 2 * matrix + (np.trace(matrix)) * np.eye(self.dim) - 2 * np.diag(np.diag(matrix))

        readout_moments = LinearRegression.readout_moments
        zero_risk = LinearRegression.zero_risk  # pyright: ignore[reportIncompatibleMethodOverride]

    task = Signs(3, noise_std=0.5)
    _, risk = one_layer_optimum(task, shots=5)
    eta = 5 / (5 + 3 + 1 - 2 + 0.25)
    assert risk == pytest.approx(3 * (1 - eta), rel=1e-12)
    assert "require_linear" in error_message(task.require_linear, "a test")


def test_capabilities() -> None:
    """Capabilities of the tasks of the package."""
    sparse = SparseLinearRegression(3, nonzero=1)
    assert (sparse.knows_moments, sparse.linear_labels, sparse.draws_moments) == (True, True, True)
    assert sparse.row is sparse
    vector = VectorRegression(3, 2, noise_std=0.4)
    assert (vector.knows_moments, vector.linear_labels, vector.draws_moments) == (True, False, False)
    assert (vector.row.dim, vector.row.noise_std) == (3, 0.4)
    hot = OneHotClassification(3, 2)
    assert (hot.knows_moments, hot.linear_labels, hot.classifies) == (True, False, True)
    assert "linear regression" in error_message(lambda: hot.row)
    assert "classification" in error_message(sparse.correct, np.ones(2), np.ones(2))


def test_nothing_stated() -> None:
    """Four steps are enough for everything that samples."""

    class Cosine(Task):
        def __init__(self) -> None:
            self.dim, self.covariance, self.inputs = 1, np.eye(1), LinearRegression(1).inputs

        def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
            return rng.standard_normal(batch)

        def labels(self, x: np.ndarray, tasks: np.ndarray) -> np.ndarray:
            return np.cos(x[..., 0] * tasks[:, None])

        def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:  # noqa: ARG002
            return labels

    task = Cosine()
    assert task.sample(0, 3, 2).y.shape == (3, 2)
    assert not task.knows_moments
    assert "zero_risk" in error_message(lambda: task.zero_risk)
    assert "readout_moments" in error_message(task.readout_moments, 3)
