"""Every task is written down and built again: the same type, the same numbers, the same prompts to the last bit."""

import json
import sys
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pytest
from helpers import error_message
from laws import Coin, Silent, Waiting

from icl_theory import (
    Gaussian,
    LinearClassification,
    LinearRegression,
    Mixture,
    OneHotClassification,
    ReLUTeacher,
    SparseLinearRegression,
    StudentT,
    Uniform,
    VectorRegression,
)
from icl_theory.tasks import Task, UnitLaw, task_from_dict
from icl_theory.tasks.written import _CLASSES

LAMBDA = np.array([[2.0, 0.1 + 0.2], [0.1 + 0.2, 1 / 3]])
OMEGA = np.diag([1e-300, np.pi])


@dataclass(frozen=True, eq=False)
class Shifted(LinearRegression):
    """A task of a user, with a field of its own."""

    shift: float = 0.0

    def sample_inputs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self.shift + super().sample_inputs(rng, shape)


TASKS: list[Task] = [
    LinearRegression(2, LAMBDA, OMEGA, 0.1, StudentT(4.5), Mixture((1.0, 1 / 3), (0.25, 0.75))),
    SparseLinearRegression(2, LAMBDA, noise_std=0.7, inputs=Uniform(), nonzero=1),
    ReLUTeacher(2, 5, LAMBDA, 0.3, Coin(0.2), Uniform()),
    VectorRegression(2, 3, LAMBDA, OMEGA, 0.1, StudentT(9), Waiting()),
    LinearClassification(2, 3 * np.eye(2), 0.25),
    OneHotClassification(2, 3, LAMBDA, Uniform()),
    Shifted(2, noise_std=0.2, shift=0.1),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_round_trip(task: Task) -> None:
    """A task comes back as it was."""
    described = task.to_dict()
    back = task_from_dict(json.loads(json.dumps(described, allow_nan=False)))
    assert type(back) is type(task)
    assert back.to_dict() == described
    for field in fields(task):  # pyright: ignore[reportArgumentType]
        one, other = getattr(back, field.name), getattr(task, field.name)
        np.testing.assert_array_equal(one, other) if isinstance(one, np.ndarray) else None
        assert isinstance(one, np.ndarray) or one == other
    first, again = task.sample(3, 5, 4), back.sample(3, 5, 4)
    for name in ("x", "y", "x_query", "y_query"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    assert np.abs(first.x).max() > 0


def test_every_task() -> None:
    """Every task of the package is tried."""
    own = {name for name, cls in _CLASSES.items() if issubclass(cls, Task) and "." not in name} - {"Task"}
    assert own == {type(task).__name__ for task in TASKS} - {"Shifted"}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task).__name__)
def test_every_field_is_written(task: Task) -> None:
    described = task.to_dict()
    written = {field.name for field in fields(task) if field.init}  # pyright: ignore[reportArgumentType]
    assert set(described) == written | {"type"}
    for name in written:
        less = {key: value for key, value in described.items() if key != name}
        if name in ("dim", "nonzero", "hidden", "outputs", "classes"):
            assert name in error_message(task_from_dict, less)
        else:
            task_from_dict(less)  # a default: the class knows it


def test_sparse_task() -> None:
    """It came back as a dense one."""
    back = task_from_dict(SparseLinearRegression(4, nonzero=1).to_dict())
    assert set((back.sample_tasks(np.random.default_rng(0), 50) != 0).sum(1)) == {1}


DAMAGED: list[tuple[Any, str]] = [
    (5, "got 5, expected an object with a type"),
    (None, "None"),
    ({"dim": 2}, "an object with a type"),
    ({"type": 5, "dim": 2}, "an object with a type"),
    ({"type": "os"}, "'os'"),
    ({"type": "Gaussian"}, "'Gaussian'"),  # a law is no task
    ({"type": "Task", "dim": 2}, "Task"),
    ({"type": "somebody.else.Mine", "dim": 2}, "import the module that defines it first"),
    ({"type": "LinearRegression"}, "dim"),
    ({"type": "LinearRegression", "dim": "two"}, "dim"),
    ({"type": "LinearRegression", "dim": 2, "colour": 1}, "colour"),
    ({"type": "LinearRegression", "dim": 2, "covariance": [[1.0]]}, "covariance"),
    ({"type": "LinearRegression", "dim": 2, "inputs": "gaussian"}, "Gaussian()"),
    ({"type": "LinearRegression", "dim": 2, "inputs": {"type": "LinearRegression", "dim": 2}}, "inputs"),
    ({"type": "LinearRegression", "dim": 2, "inputs": {"type": "StudentT"}}, "dof"),
    ({"type": "LinearRegression", "dim": 2, "inputs": {"type": "StudentT", "dof": 1}}, "dof"),
    ({"type": "LinearRegression", "dim": 2, "inputs": {"dof": 5}}, "an object with a type"),
]


@pytest.mark.parametrize(("described", "words"), DAMAGED)
def test_what_is_no_task(described: Any, words: str) -> None:
    """What is no task is an error."""
    assert words in error_message(task_from_dict, described)


def test_no_imports() -> None:
    """Nothing is imported for a file."""
    assert "has been imported" in error_message(task_from_dict, {"type": "antigravity.Task", "dim": 2})
    assert "antigravity" not in sys.modules


def test_redefined_class() -> None:
    """As a cell of a notebook does that is run twice."""

    def make(value: float) -> type:
        class Mine(LinearRegression):
            def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:  # noqa: ARG002
                return labels + value

        return Mine

    first, second = make(1.0), make(2.0)
    assert type(task_from_dict(first(2).to_dict())) is second


def test_unwritable() -> None:
    """What cannot be written is an error of one sentence."""
    assert "Silent" in error_message(LinearRegression(2, inputs=Silent()).to_dict)
    assert "UnitLaw" in error_message(LinearRegression(2, inputs=Silent()).to_dict)

    class Plain(UnitLaw):
        def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
            return rng.standard_normal(shape)

    described = LinearRegression(2, inputs=Plain()).to_dict()  # no dataclass, but there is nothing to write
    assert isinstance(task_from_dict(described).inputs, Plain)

    class Loaded(UnitLaw):
        def __init__(self, table: list[float]) -> None:
            self.table = table

        def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
            return rng.choice(self.table, size=shape)

    assert "Loaded to be written down" in error_message(LinearRegression(2, inputs=Loaded([-1.0, 1.0])).to_dict)

    class Counting(LinearRegression):
        def __init__(self, dim: int, more: int) -> None:
            super().__init__(dim)
            object.__setattr__(self, "more", more)

    assert "a class made from its fields" in error_message(Counting(2, 3).to_dict)

    @dataclass(frozen=True, eq=False)
    class Growing(LinearRegression):
        size: float = 1.0

        def __post_init__(self) -> None:
            super().__post_init__()
            object.__setattr__(self, "size", 2 * self.size)

    assert "other fields than it was made from" in error_message(Growing(2).to_dict)

    @dataclass(frozen=True, eq=False)
    class Holding(LinearRegression):
        what: Any = None

    for value in (np.inf, float("nan"), object(), {"a": 1}, [1.0, np.nan], len):
        assert "Holding to be written down" in error_message(Holding(2, what=value).to_dict)
    for value in (np.float64(0.1), np.arange(3), (1, "two", None, True), Gaussian(), [[1.5]]):
        task = Holding(2, what=value)
        assert task_from_dict(task.to_dict()).to_dict() == task.to_dict()
