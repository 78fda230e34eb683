"""Cases: weights and data on which claims are tried. Random, constructed, trained, and truncated versions of each."""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np

from icl_theory.claims.engine.case_settings import SHOTS
from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.information.ladder.bound_ladder import BoundLadder, ladder_of
from icl_theory.information.ladder.noisy_trajectory import Batches, simulate
from icl_theory.information.ladder.setting import Setting
from icl_theory.models.files import from_dict, to_dict
from icl_theory.models.model import Model
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.written import task_from_dict, task_or_reason

SHOWN = 10  # b of a case
CLIP = 4.0  # c of every ladder
PAIRS = 256  # runs in the sandwich of a case's ladder


@fields_in_help
@dataclass(frozen=True, eq=False)
class Case:
    """Weights, demonstrations and a task; equal seeds give equal cases.

    Example:
        >>> from icl_theory.claims import Case, CaseFactory
        >>> case = CaseFactory("quick", seed=0).random(layers=1)[0]
        >>> case.model, case.demonstrations.shape, Case.from_dict(case.to_dict()).name == case.name
        (Model(layers=1, token_dim=6), (20, 6), True)
    """

    name: str
    """What it is, in words."""
    kind: str
    """"random", "constructed", "trained", "truncated", or "given": a model of yours."""
    seed: int
    """Seed of everything that a claim draws on this case."""
    model: Model
    """A single model."""
    task: LinearRegression
    """The task that demonstrations and prompts are drawn from; of a population any `Task`, yours."""
    task_vector: np.ndarray
    """w, shape (d_x,); of another task one function of it, as `sample_tasks` draws them."""
    demonstrations: np.ndarray
    """Tokens of task w, shape (N, D)."""
    shots: int = SHOWN
    """b, of the N demonstrations above."""
    samples: int = 512
    """Monte Carlo runs where a claim samples."""
    training_shots: int = SHOTS
    """N of the training prompts, and b of its ladder, whose N is four times as many."""
    ladders: dict[Any, BoundLadder] = field(default_factory=dict, repr=False, init=False)
    """Ladders that have been computed, by (floor, scale); a case made by `dataclasses.replace` begins with none."""

    @property
    def layers(self) -> int:
        """L."""
        return self.model.layers

    @property
    def ladder_shots(self) -> int:
        """b of its ladder."""
        return self.training_shots

    @property
    def ladder_demonstrations(self) -> int:
        """N of its ladder."""
        return 4 * self.training_shots

    def ladder(self, *, floor: float = 0.0, scale: float = 1.0) -> BoundLadder:
        """The bound ladder at c = 4, in the usual settings at N = 80 and b = 20, with W_V of layer 1 times `scale`.

        Computed once and shared between claims; every call uses the same draws (common random numbers).

        Args:
            floor: ε² ≥ 0, variance of the noise floor added on the support.
            scale: factor of W_V of the first layer.
        """
        if (floor, scale) not in self.ladders:
            value = np.array(self.model.value)
            value[0] = scale * value[0]
            model = self.model.replace(value=value)
            setting = Setting(model, self.task, self.task_vector, self.ladder_demonstrations, self.ladder_shots, floor)
            pairs = min(PAIRS, self.samples)
            self.ladders[floor, scale] = ladder_of(setting, _batches(self, floor), CLIP, pairs)
        return self.ladders[floor, scale]

    def with_model(self, model: Model, suffix: str, kind: str | None = None) -> "Case":
        """The same data under other weights.

        Args:
            model: the other weights.
            suffix: what they are, added to the name.
            kind: kind of the new case; that of this one if None.
        """
        name = f"{self.name}, {suffix}"
        return replace(self, model=model, name=name, kind=kind or self.kind)

    def to_dict(self) -> dict[str, Any]:
        """Everything needed to build the case again, as plain lists and numbers (`Case.from_dict` reads it)."""
        return {
            "name": self.name,
            "kind": self.kind,
            "seed": self.seed,
            "shots": self.shots,
            "samples": self.samples,
            "training_shots": self.training_shots,
            "task": task_or_reason(self.task),
            "task_vector": self.task_vector.tolist(),
            "model": to_dict(self.model),
            "demonstrations": self.demonstrations.tolist(),
        }

    @classmethod
    def from_dict(cls, description: dict[str, Any]) -> "Case":
        """The case that `to_dict` wrote down.

        Args:
            description: what `to_dict` returned, also after a round trip through JSON.

        Raises: ValueError for anything missing or malformed.
        """
        try:
            return cls(
                name=str(description["name"]),
                kind=str(description["kind"]),
                seed=int(description["seed"]),
                model=from_dict(description["model"]),
                task=cast(Any, task_from_dict(description["task"])),
                task_vector=np.array(description["task_vector"], dtype=np.float64),
                demonstrations=np.array(description["demonstrations"], dtype=np.float64),
                shots=int(description["shots"]),
                samples=int(description["samples"]),
                training_shots=int(description.get("training_shots", SHOTS)),
            )
        except (KeyError, TypeError) as error:
            raise checks.error(
                "case", f"a description with a defect at {error}", "what a counterexample file holds", "write it again"
            ) from None


@lru_cache(maxsize=24)
def _batches(case: Case, floor: float) -> Batches:
    """The draws of a case, kept for its next ladder; all positive floors could share them, equal ones do."""
    setting = Setting(case.model, case.task, case.task_vector, case.ladder_demonstrations, case.ladder_shots, floor)
    return Batches(setting, case.seed, case.samples)


def demonstration_sets(case: Case) -> np.ndarray:
    """The demonstrations behind every run of the case's ladder without a floor, shape (samples, N, D)."""
    return np.concatenate([draws.tokens for draws in _batches(case, 0.0)])


def noisy_outputs(case: Case) -> np.ndarray:
    """W_L of the noisy trajectory of every run of the case's ladder without a floor, shape (samples, D, D)."""
    setting = Setting(case.model, case.task, case.task_vector, case.ladder_demonstrations, case.ladder_shots, 0.0)
    return np.concatenate([simulate(setting, draws).accumulated for draws in _batches(case, 0.0)])
