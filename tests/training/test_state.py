"""What identifies a training run: every setting, every field of the task, the key; and the versions beside it."""

from dataclasses import asdict, fields, replace
from typing import Any

import jax
import numpy as np
import pytest
from helpers import error_message
from laws import Silent

from icl_theory.tasks.base import Task
from icl_theory.tasks.classification import LinearClassification
from icl_theory.tasks.laws import Mixture, StudentT, Uniform
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.relu_teacher import ReLUTeacher
from icl_theory.tasks.sparse_regression import SparseLinearRegression
from icl_theory.tasks.vector_regression import VectorRegression
from icl_theory.training import checkpoints
from icl_theory.training.config import CheckedConfig
from icl_theory.training.state import setup, versions

CONFIG = CheckedConfig(layers=1, shots=7, steps=20, seeds=3, batch=8, learning_rate=0.02, tasks=4)
OTHER: dict[str, Any] = {
    **{"layers": 2, "shots": 8, "steps": 21, "seeds": 4, "batch": 9, "learning_rate": 0.01, "init_scale": 0.3},
    **{"clip_norm": 2.0, "readout": "plus", "stop_excess": 0.1, "heads": 2, "tied": True, "kind": "softmax"},
    **{"mask": "causal", "hidden": 3, "activation": "relu", "sampling": "tokens", "tasks": 5, "prompts_per_task": 2},
}
TASKS: list[tuple[Task, dict[str, Any]]] = [
    (
        LinearRegression(2, noise_std=0.2),
        {
            "covariance": np.diag([1.0, 2.0]),
            "task_covariance": np.diag([2.0, 1.0]),
            "noise_std": 0.3,
            "inputs": Uniform(),
            "noise": StudentT(5),
        },
    ),
    (SparseLinearRegression(4, nonzero=2), {"nonzero": 3, "noise_std": 0.1, "inputs": Uniform()}),
    (LinearRegression(2, inputs=StudentT(5)), {"inputs": StudentT(6)}),
    (ReLUTeacher(2, 3), {"hidden": 4, "noise_std": 0.1, "inputs": Uniform(), "noise": Uniform()}),
    (LinearClassification(2), {"flip_probability": 0.1, "inputs": Uniform()}),
    (VectorRegression(2, 2), {"noise_std": 0.1, "inputs": Uniform()}),
]


def test_setting_identifies_a_run() -> None:
    """Each field of the configuration, one by one, and nothing but that field."""
    assert set(OTHER) == {field.name for field in fields(CheckedConfig)}
    for task, _ in TASKS:  # a ReLU teacher has a field of the same name
        plain = setup(task, CONFIG, np.random.default_rng(0))
        for name, value in OTHER.items():
            changed = setup(task, replace(CONFIG, **{name: value}), np.random.default_rng(0))
            assert checkpoints._differences(plain, changed) == {name: (asdict(CONFIG)[name], value)}


@pytest.mark.parametrize("number", range(len(TASKS)))
def test_task_identifies_a_run(number: int) -> None:
    """Every field of a task identifies a run."""
    task, changes = TASKS[number]
    plain = setup(task, CONFIG, np.random.default_rng(0))
    assert plain["task"] == type(task).__name__
    for name, value in changes.items():
        changed = setup(replace(task, **{name: value}), CONFIG, np.random.default_rng(0))  # pyright: ignore
        assert set(checkpoints._differences(plain, changed)) in ({name}, {f"task.{name}"})
    other_kind = setup(TASKS[number - 1][0], CONFIG, np.random.default_rng(0))
    assert "task" in checkpoints._differences(plain, other_kind)


def test_laws_differ_by_numbers() -> None:
    """Laws are distinguished by their numbers."""
    own = [setup(LinearRegression(2, inputs=law), CONFIG, np.random.default_rng(0)) for law in (StudentT(5), Uniform())]
    assert [one["inputs"] for one in own] == ["StudentT(dof=5.0)", "Uniform()"]
    mixtures = [Mixture((1.0, 2.0), weights) for weights in ((0.5, 0.5), (0.25, 0.75))]
    one, other = (setup(LinearRegression(2, noise=law), CONFIG, np.random.default_rng(0)) for law in mixtures)
    assert set(checkpoints._differences(one, other)) == {"noise"}
    silent = LinearRegression(2, inputs=Silent())
    assert "Silent" in error_message(setup, silent, CONFIG, np.random.default_rng(0))


def test_key_identifies_a_run() -> None:
    """The key identifies a run whatever was drawn from it."""
    rng, other = np.random.default_rng(5), np.random.default_rng(5)
    task = TASKS[0][0]
    assert setup(task, CONFIG, rng) == setup(task, CONFIG, other)
    other.standard_normal()
    assert set(checkpoints._differences(setup(task, CONFIG, rng), setup(task, CONFIG, other))) == {"key"}


def test_versions() -> None:
    """Versions are those of this process."""
    found = versions()
    assert found == {"jax": jax.__version__, "numpy": np.__version__, "device": jax.devices()[0].device_kind}
