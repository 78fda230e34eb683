"""The configuration of a training run on one page, and the task that it names. Importing this file is quick."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from icl_theory.tasks.base import Task
    from icl_theory.tasks.laws import Law


@dataclass(frozen=True)
class TrainRunConfig:
    """What determines a training run, in plain numbers and strings."""

    task: Literal["linear", "sparse", "relu", "classification", "vector", "one-hot"] = "linear"
    """Labels: w·x with dense or sparse w, a two-layer ReLU teacher, the sign of w·x, W x, or one of C classes."""
    dim: int = 5
    """Input dimension d; tokens have one entry more, or as many more as there are outputs."""
    inputs: Literal["gaussian", "uniform", "student-t"] = "gaussian"
    """Law of the inputs, all of covariance I."""
    dof: float | None = None
    """Degrees of freedom of student-t inputs, above 2; from 4 down their fourth moment is infinite."""
    layers: int = 1
    """Number of layers L."""
    shots: int = 20
    """N, the demonstrations of a prompt."""
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
    heads: int = 1
    """Attention heads per layer."""
    tied: bool = False
    """All layers share one set of weights."""
    kind: Literal["linear", "softmax"] = "linear"
    """Attention."""
    mask: Literal["demonstrations", "causal"] = "demonstrations"
    """What a demonstration sees: all demonstrations, or itself and earlier ones."""
    hidden: int = 0
    """Width of the MLP behind every attention layer; 0: none."""
    activation: Literal["identity", "relu"] = "identity"
    """Activation of the MLP."""
    sampling: Literal["auto", "moments", "tokens"] = "auto"
    """Draw S directly with the query integrated out, or whole prompts; auto: the former where the model allows it."""
    tasks: int | None = None
    """Tasks of a finite pre-training set; fresh tasks for ever if left out."""
    prompts_per_task: int = 1
    """Prompts of every task of a finite pre-training set."""
    steps: int | None = None
    """Optimiser steps; 1000 if left out, 2000 for more than four layers."""
    seeds: int = 8
    """Models of the ensemble, each with its own initial weights and data."""
    batch: int = 64
    """Prompts per step and model."""
    learning_rate: float | None = None
    """Adam's step size at the start, falling to 0 along half a cosine; 0.02 if left out, 0.01 above four layers."""
    init_scale: float = 0.2
    """Size of the initial weights."""
    clip_norm: float = 1.0
    """Largest norm of a gradient."""
    readout: Literal["minus", "plus"] = "minus"
    """Sign with which the prediction is read from the query's label slot."""
    stop_excess: float | None = None
    """Stop once the exact risk of every model is within this share of the optimum, 0.01 being 1 %; one layer only."""
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


def make_task(config: TrainRunConfig) -> "Task":
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
