"""The configuration of a training run on one page, and the task that it names. Importing this file is quick."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from icl_theory.training.config import TrainConfig

if TYPE_CHECKING:
    import numpy as np

    from icl_theory.tasks.base import Task
    from icl_theory.tasks.laws import Law


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """A task."""

    task: Literal["linear", "sparse", "relu", "classification", "vector", "one-hot"] = "linear"
    """Labels: w·x with dense or sparse w, a two-layer ReLU teacher, the sign of w·x, W x, or one of C classes."""
    dim: int = 5
    """Input dimension d; tokens have one entry more, or as many more as there are outputs."""
    inputs: Literal["gaussian", "uniform", "student-t"] = "gaussian"
    """Law of the independent coordinates of the inputs."""
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
    covariance: tuple[str, ...] = ()
    """Covariance Λ of the inputs: d numbers for its diagonal, d*d row by row, or a file (.npy, .npz with one array,
    .csv, .txt); the identity if left out."""
    task_covariance: tuple[str, ...] = ()
    """Covariance Ω of w in the linear and vector tasks, likewise."""


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


OF_TASKS: dict[str, tuple[str, ...]] = {
    "noise_std": ("linear", "sparse", "relu", "vector"),
    "nonzero": ("sparse",),
    "teacher_hidden": ("relu",),
    "outputs": ("vector", "one-hot"),
    "flip_probability": ("classification",),
    "task_covariance": ("linear", "vector"),
}
"""Options that only some tasks have."""


def require_applicable(config: TaskConfig) -> None:
    """Raises: ValueError for an option that the task would ignore."""
    from icl_theory.core import checks

    usual = {field.name: field.default for field in fields(config)}
    for name, tasks in OF_TASKS.items():
        value = getattr(config, name)
        if config.task not in tasks and value != usual[name]:
            got, expected = f"{value} with the {config.task} task", f"a task that has it ({', '.join(tasks)})"
            raise checks.error(name, got, expected, "drop it, or name another task")


def matrix_of(name: str, given: tuple[str, ...], dim: int) -> "np.ndarray | None":
    """The covariance that words of the command line mean: a diagonal, or a matrix in a file; None for no words.

    Raises: ValueError for a file that is missing or holds no (dim, dim) matrix, or another number of numbers.
    """
    import numpy as np

    from icl_theory.core import checks
    from icl_theory.records.files import DAMAGED

    expected = f"{dim} numbers, or a file with a ({dim}, {dim}) matrix"
    if not given:
        return None
    first, *rest = given
    try:
        numbers = [float(word) for word in given]
    except ValueError:
        if rest or not Path(first).is_file():
            hint = "separate numbers by blanks, or check the path"
            raise checks.error(name, " ".join(given), expected, hint) from None
        try:
            found = _arrays_of(Path(first))
        except DAMAGED as error:
            got = f"{first!r}, which cannot be read ({type(error).__name__})"
            raise checks.error(name, got, expected, "write it with numpy.save or numpy.savetxt") from error
        if len(found) != 1:
            raise checks.error(name, f"{len(found)} arrays in {first!r}", expected, "keep one") from None
        return checks.array(name, found[0], (dim, dim), "write a square matrix")
    if len(numbers) == dim * dim:  # as a record of a run has them
        return np.reshape(numbers, (dim, dim))
    if len(numbers) != dim:
        raise checks.error(name, f"{len(numbers)} numbers", expected, f"pass {dim}, the diagonal")
    return np.diag(numbers)


def _arrays_of(path: Path) -> "list[np.ndarray]":
    import numpy as np

    from icl_theory.records.files import read_npz

    if path.suffix == ".npz":
        return list(read_npz(path).values())
    if path.suffix == ".npy":
        return [np.load(path, allow_pickle=False)]
    return [np.loadtxt(path, delimiter="," if path.suffix == ".csv" else None, ndmin=2)]


def make_task(config: TaskConfig) -> "Task":
    """The task that the configuration names. Raises: ValueError for an option that it does not have."""
    from icl_theory.core import checks
    from icl_theory.tasks.classification import LinearClassification, OneHotClassification
    from icl_theory.tasks.linear_regression import LinearRegression
    from icl_theory.tasks.relu_teacher import ReLUTeacher
    from icl_theory.tasks.sparse_regression import SparseLinearRegression
    from icl_theory.tasks.vector_regression import VectorRegression

    makers = {
        "linear": lambda: LinearRegression(dim, **shape, **tasks, **noise),
        "sparse": lambda: SparseLinearRegression(dim, **shape, **noise, nonzero=config.nonzero),
        "relu": lambda: ReLUTeacher(dim, config.teacher_hidden, **shape, **noise),
        "classification": lambda: LinearClassification(dim, flip_probability=config.flip_probability, **shape),
        "vector": lambda: VectorRegression(dim, config.outputs, **shape, **tasks, **noise),
        "one-hot": lambda: OneHotClassification(dim, config.outputs, **shape),
    }
    make = makers[checks.choice("task", config.task, tuple(makers))]
    require_applicable(config)
    dim = checks.integer("dim", config.dim, 1, None, "use at least one input dimension")
    shape: dict[str, Any] = {"covariance": matrix_of("covariance", config.covariance, dim)}
    shape |= {"inputs": input_law(config.inputs, config.dof)}
    tasks: dict[str, Any] = {"task_covariance": matrix_of("task_covariance", config.task_covariance, dim)}
    noise: dict[str, Any] = {"noise_std": config.noise_std}
    return make()


def written_out(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the numbers of covariances instead of the words for them: a file can change."""
    numbers = {}
    for name in ("covariance", "task_covariance"):
        matrix = matrix_of(name, tuple(settings[name]), settings["dim"])
        numbers[name] = [] if matrix is None else matrix.tolist()
    return settings | numbers
