"""What the cases of a run are made of: a task, a depth, a number of demonstrations, perhaps a model that is given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.models.checked import checked
from icl_theory.models.files import to_dict
from icl_theory.models.model import Model
from icl_theory.tasks.base import Task
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.written import task_or_reason

DIM, SHOTS, LAYERS, NOISE = 5, 20, 3, 0.5
"""d_x, N of the training prompts, L of the deep models and σ of the usual settings."""

LARGEST_CONDITION = 1e12
"""Of a covariance that counts as one of full rank."""

Requirement = Literal[
    "linear regression",
    "Gaussian tokens",
    "isotropic inputs and tasks",
    "token covariance of full rank",
    "5 input dimensions",
    "20 demonstrations",
    "3 layers",
    "no model but its own",
    "cases of its own",
]
"""What a statement, or the check of it, may be about: all of it is so in the usual settings."""


def _usual_task() -> LinearRegression:
    return LinearRegression(DIM, noise_std=NOISE)


class OutsideSettings(Exception):
    """Raised where a claim asks for cases that the settings of a run do not have; its words are the reason."""


@fields_in_help
@dataclass(frozen=True, eq=False)
class CaseSettings:
    """What the cases of a run are made of.

    Raises: ValueError for a setting out of its range, or a model that is no single plain linear-attention model of the
        task's token dimension: the claims were written for those.

    Example:
        >>> from icl_theory import LinearRegression
        >>> from icl_theory.claims import CaseFactory, CaseSettings
        >>> settings = CaseSettings(task=LinearRegression(3), layers=2, shots=12)
        >>> [case.demonstrations.shape for case in CaseFactory(seed=0, settings=settings).constructed(layers=2)]
        [(12, 4)]
    """

    task: Task = field(default_factory=_usual_task)
    """What demonstrations and prompts are drawn from."""
    layers: int = LAYERS
    """L of the cases with several layers; 1: there are none. That of `model`, if one is given."""
    shots: int = SHOTS
    """N of a case and of the training prompts. A case shows half of them; its ladder has b = `shots`, N = 4 `shots`."""
    model: Model | None = None
    """Instead of random, constructed and trained weights: one model or an ensemble, and truncated versions of it."""

    def __post_init__(self) -> None:
        checks.integer("layers", self.layers, 1, None, "use at least one layer")
        checks.integer("shots", self.shots, 2, None, "use at least 2, so that not all of them are shown")
        if self.model is not None:
            for model in self.models:
                _require_plain(checked(model, self.task.token_dim))
            object.__setattr__(self, "layers", self.model.layers)

    @property
    def models(self) -> list[Model]:
        """The model that was given, or the members of the ensemble; none if none was."""
        if self.model is None:
            return []
        seeds = getattr(self.model, "seeds", None)
        return [self.model] if seeds is None else [self.model.member(seed) for seed in range(seeds)]

    @property
    def usual(self) -> bool:
        """Whether they are those for which the verdicts of the claims are known."""
        sizes = self.layers, self.shots, self.model
        return sizes == (LAYERS, SHOTS, None) and task_or_reason(self.task) == task_or_reason(_usual_task())

    def to_dict(self) -> dict[str, Any]:
        """What a record says of them: the task and the model written down, numbers as they are."""
        model = [to_dict(model) for model in self.models] or None
        sizes = {"layers": self.layers, "shots": self.shots}
        return {"words": self.words, "task": task_or_reason(self.task), **sizes, "models": model}

    @property
    def words(self) -> str:
        """In a line: the kind of task and the sizes."""
        count = len(self.models)
        given = f", {count} model{'s' * (count > 1)} of yours" if count else ""
        return f"{type(self.task).__name__}, d_x = {self.task.dim}, L = {self.layers}, N = {self.shots}{given}"

    def lacking(self, requirements: tuple[Requirement, ...]) -> str:
        """Which requirement is not met, in a sentence; empty if all are.

        Args:
            requirements: of a claim.
        """
        lost = [requirement for requirement in requirements if not _MET[requirement](self)]
        return f"it is about {' and '.join(lost)}, which these settings are not" if lost else ""


def _require_plain(model: Model) -> None:
    """Raises: ValueError for a model with anything that the claims do not know of."""
    unusual = {
        "an axis of heads": model.heads is not None,
        f"{model.kind} attention": model.kind != "linear",
        f"a {model.mask} mask": model.mask != "demonstrations",
        "a sum instead of a mean over demonstrations": model.normalization != "mean",
        "an MLP": model.mlp_in is not None,
        "a readout with a plus": model.readout != "minus",
    }
    found = [name for name, there in unusual.items() if there]
    if found:
        expected = "plain linear attention with one head, which the claims are about"
        raise checks.error("model", f"a model with {' and '.join(found)}", expected, "use `bounds` for other models")


def _isotropic(task: Any) -> bool:
    size = np.eye(task.dim)
    return all(np.array_equal(matrix, size) for matrix in (task.covariance, getattr(task, "task_covariance", size)))


def _noise(settings: CaseSettings) -> float:
    return getattr(settings.task, "noise_std", 0.0)


_MET: dict[Requirement, Callable[[CaseSettings], bool]] = {
    "linear regression": lambda s: s.task.linear_labels,
    "Gaussian tokens": lambda s: s.task.draws_moments,
    "isotropic inputs and tasks": lambda s: _isotropic(s.task),
    "token covariance of full rank": lambda s: _noise(s) > 0 and np.linalg.cond(s.task.covariance) < LARGEST_CONDITION,
    "5 input dimensions": lambda s: s.task.dim == DIM,
    "20 demonstrations": lambda s: s.shots == SHOTS,
    "3 layers": lambda s: s.layers == LAYERS,
    "no model but its own": lambda s: s.model is None,
    "cases of its own": lambda s: s.usual,
}
