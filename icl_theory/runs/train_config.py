"""The configuration of a training run on one page, and the task that it names. Importing this file is quick."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from icl_theory.training.config import TrainConfig

if TYPE_CHECKING:
    from icl_theory.tasks.base import Task
    from icl_theory.tasks.laws import Law


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """A task with identity covariances."""

    task: Literal["linear", "sparse", "relu", "classification", "vector", "one-hot"] = "linear"
    """Labels: w·x with dense or sparse w, a two-layer ReLU teacher, the sign of w·x, W x, or one of C classes."""
    dim: int = 5
    """Input dimension d; tokens have one entry more, or as many more as there are outputs."""
    inputs: Literal["gaussian", "uniform", "student-t"] = "gaussian"
    """Law of the inputs, all of covariance I."""
    dof: float | None = None
    """Degrees of freedom of student-t inputs, above 2; from 4 down their fourth moment is infinite."""
    noise_std: float = 0.0
    """Standard deviation of the label noise of demonstrations; for classification see flip-probability."""
    nonzero: int = 2
    """Nonzero entries of w in the sparse task."""
    teacher_hidden: int = 10
    """ReLU units of the teacher."""
    outputs: int = 3
    """Outputs of the vector task, classes of the one-hot task."""
    flip_probability: float = 0.0
    """Share of demonstrations whose label ±1 is flipped."""


@dataclass(frozen=True, kw_only=True)
class TrainRunConfig(TrainConfig, TaskConfig):
    """What determines a training run, in plain numbers and strings."""

    checkpoint_every: int = 1
    """Chunks of steps between two checkpoints; a run has at least ten chunks."""
    seed: int = 0
    """Seed of everything random."""


def input_law(inputs: str, dof: float | None) -> "Law":
    """The law that a word of the command line names; degrees of freedom belong to student-t alone."""
    from icl_theory.core import checks
    from icl_theory.tasks.laws import Gaussian, StudentT, Uniform

    checks.choice("inputs", inputs, ("gaussian", "uniform", "student-t"))
    if (inputs == "student-t") != (dof is not None):
        got = f"{'no dof' if dof is None else f'dof {dof:g}'} with {inputs} inputs"
        raise checks.error("dof", got, "a number with student-t inputs, none with others", "pass --dof 5, or drop it")
    return StudentT(dof) if dof is not None else Uniform() if inputs == "uniform" else Gaussian()


def make_task(config: TaskConfig) -> "Task":
    """The task that the configuration names, with identity covariances."""
    from icl_theory.core import checks
    from icl_theory.tasks.classification import LinearClassification, OneHotClassification
    from icl_theory.tasks.linear_regression import LinearRegression
    from icl_theory.tasks.relu_teacher import ReLUTeacher
    from icl_theory.tasks.sparse_regression import SparseLinearRegression
    from icl_theory.tasks.vector_regression import VectorRegression

    dim, inputs, noise = config.dim, input_law(config.inputs, config.dof), config.noise_std
    makers: dict[str, Callable[[], Task]] = {
        "linear": lambda: LinearRegression(dim, noise_std=noise, inputs=inputs),
        "sparse": lambda: SparseLinearRegression(dim, noise_std=noise, inputs=inputs, nonzero=config.nonzero),
        "relu": lambda: ReLUTeacher(dim, config.teacher_hidden, noise_std=noise, inputs=inputs),
        "classification": lambda: LinearClassification(dim, flip_probability=config.flip_probability, inputs=inputs),
        "vector": lambda: VectorRegression(dim, config.outputs, noise_std=noise, inputs=inputs),
        "one-hot": lambda: OneHotClassification(dim, config.outputs, inputs=inputs),
    }
    return makers[checks.choice("task", config.task, tuple(makers))]()
