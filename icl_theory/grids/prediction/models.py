"""The models of a unit of the prediction grid, and the setting in which they are used."""

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.progress import Progress
from icl_theory.grids.finding import Judgement, Level, ProfileName
from icl_theory.grids.registration import profile_of
from icl_theory.models.model import Model
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.train import train


@fields_in_help
@dataclass(frozen=True)
class PredictionUnit:
    """One ensemble of one-layer models."""

    task: str
    training: str
    """"short", "long", or "finite N" with the number of prompts."""

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from others."""
        return self.task, self.training

    @property
    def name(self) -> str:
        """In words."""
        return f"one layer, {self.task}, {self.training}"


@fields_in_help
@dataclass(frozen=True)
class PredictionGrid:
    """What is trained, truncated and bounded, in one profile.

    Example:
        >>> from icl_theory.grids import prediction_grid
        >>> prediction_grid().units[0].name
        'one layer, isotropic, short'
    """

    profile: ProfileName
    seed: int
    dim: int
    training_shots: int
    batch: int
    noise_std: float
    samples: int
    """Runs behind every bound."""
    clip: float
    demonstrations: int
    """N of the bounds."""
    metric_prompts: int
    """Prompts whose second moments are the metric of the update."""
    factors: dict[str, tuple[Level, ...]]
    tasks: dict[str, Any]
    regimes: dict[str, float]
    seeds: int
    judgement: Judgement

    @property
    def units(self) -> list[PredictionUnit]:
        """Every ensemble, in a fixed order."""
        trainings = dict.fromkeys(trained_for(str(regime)) for regime in self.factors["regime"])
        return [PredictionUnit(str(task), training) for task in self.factors["task"] for training in trainings]

    def regimes_of(self, unit: PredictionUnit) -> list[str]:
        """The regimes whose models are those of the unit.

        Args:
            unit: an ensemble.
        """
        return [str(regime) for regime in self.factors["regime"] if trained_for(str(regime)) == unit.training]

    def shots_of(self, regime: str) -> int:
        """b, the demonstrations that a model is shown in a regime.

        Args:
            regime: one of the grid's.
        """
        return int(self.regimes["shifted_shots"]) if regime == "shifted" else self.training_shots


def prediction_grid(profile: ProfileName = "full") -> PredictionGrid:
    """The registered grid of one-layer models.

    Args:
        profile: "full", or "quick" with fewer levels and seeds.

    Raises: ValueError for another profile.

    Example:
        >>> from icl_theory.grids import prediction_grid
        >>> prediction_grid("quick").seeds
        4
    """
    text, own = profile_of("prediction", profile)
    factors = {name: tuple(levels) for name, levels in (text["factors"] | own.pop("factors", {})).items()}
    plain = {n: v for n, v in text.items() if n not in ("registered", "factors", "profiles", "judgement")}
    return PredictionGrid(profile=profile, **plain, factors=factors, **own, judgement=Judgement(**text["judgement"]))


def trained_for(regime: str) -> str:
    """The training that the models of a regime come from.

    Args:
        regime: one of the grid's.
    """
    return regime if regime == "short" or regime.startswith("finite") else "long"


def task_of(grid: PredictionGrid, unit: PredictionUnit, *, shifted: bool = False) -> LinearRegression:
    """The task that a unit is trained on, or the one with noisier labels.

    Args:
        grid: the numbers.
        unit: an ensemble.
        shifted: whether labels are noisier than in training.
    """
    noise = grid.regimes["shifted_noise_std"] if shifted else grid.noise_std
    if unit.task == "anisotropic":
        return LinearRegression(grid.dim, np.diag(grid.tasks["variances"]), noise_std=noise)
    if unit.task == "isotropic":
        return LinearRegression(grid.dim, noise_std=noise)
    rank = int(grid.tasks["rank"])
    variances = np.where(np.arange(grid.dim) < rank, grid.dim / rank, 0.0)
    return LinearRegression(grid.dim, task_covariance=np.diag(variances), noise_std=noise)


def generator_of(grid: PredictionGrid, unit: PredictionUnit, *place: int) -> np.random.Generator:
    """A generator that the unit and a place in it determine, so that units are independent and need no order.

    Args:
        grid: its seed.
        unit: an ensemble.
        place: numbers.
    """
    return np.random.default_rng([grid.seed, zlib.crc32(unit.name.encode()), *place])


def trained(grid: PredictionGrid, unit: PredictionUnit, progress: Progress | None = None) -> Model:
    """The ensemble of the unit, with a leading axis of seeds, in float32.

    Args:
        grid: the numbers.
        unit: an ensemble.
        progress: called with (what, done, total).
    """
    kind, _, prompts = unit.training.partition(" ")
    return train(
        task_of(grid, unit),
        int(generator_of(grid, unit).integers(2**31)),
        layers=1,
        shots=grid.training_shots,
        batch=grid.batch,
        seeds=grid.seeds,
        steps=int(grid.regimes["short_steps" if kind == "short" else "long_steps"]),
        tasks=int(prompts) if kind == "finite" else None,
        progress=progress,
    ).models


def in_regime(grid: PredictionGrid, unit: PredictionUnit, regime: str, member: int, models: Model) -> Model:
    """A member as it is used in a regime, in float64: with Gaussian noise on every matrix, or as it was trained.

    Args:
        grid: the numbers.
        unit: its ensemble.
        regime: one of the unit's.
        member: its number.
        models: the trained ensemble.
    """
    rng, model = generator_of(grid, unit, 1, member), models.member(member)
    share = grid.regimes["weight_noise"] if regime == "noisy" else 0.0
    matrices = {}
    for name in ("value", "key", "query"):
        matrix = np.asarray(getattr(model, name), dtype=np.float64)
        matrices[name] = matrix + share * np.sqrt((matrix**2).mean()) * rng.standard_normal(matrix.shape)
    return Model.create(**matrices, readout=model.readout, precision="float64")
