"""The models of a unit: trained, and in which regime they are used."""

import zlib
from typing import Any

import numpy as np

from icl_theory.core.progress import Progress
from icl_theory.grids.registration import Grid, Unit
from icl_theory.models.model import MATRICES, Model
from icl_theory.models.options import OPTIONS
from icl_theory.tasks.base import Task
from icl_theory.tasks.classification import LinearClassification
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.train import train

ATTENTION: dict[str, dict[str, Any]] = {
    "linear": {"kind": "linear", "mask": "demonstrations"},
    "softmax": {"kind": "softmax", "mask": "demonstrations"},
    "causal softmax": {"kind": "softmax", "mask": "causal"},
}


def number_of(unit: Unit) -> int:
    """A number that the name of the unit determines, so that units are independent and need no order."""
    return zlib.crc32(unit.name.encode())


def task_of(grid: Grid, unit: Unit, *, shifted: bool = False) -> Task:
    """The task that a unit is trained on, or the one with noisier labels.

    Args:
        grid: the numbers.
        unit: an ensemble.
        shifted: whether labels are noisier than in training.
    """
    if unit.task == "classification":
        flips = grid.regimes["shifted_flip_probability"] if shifted else grid.tasks["flip_probability"]
        return LinearClassification(grid.dim, flip_probability=flips)
    noise = grid.regimes["shifted_noise_std"] if shifted else grid.tasks["noise_std"]
    if unit.task == "regression":
        return LinearRegression(grid.dim, noise_std=noise)
    rank = int(grid.tasks["task_rank"])
    variances = np.where(np.arange(grid.dim) < rank, grid.dim / rank, 0.0)
    return LinearRegression(grid.dim, task_covariance=np.diag(variances), noise_std=noise)


def trained(grid: Grid, unit: Unit, progress: Progress | None = None) -> Model:
    """The ensemble of the unit, with a leading axis of seeds, in float32; members may have diverged.

    Args:
        grid: the numbers.
        unit: an ensemble.
        progress: called with (what, done, total).
    """
    finite: dict[str, Any] = {"tasks": int(grid.regimes["finite_prompts"])} if unit.training == "finite" else {}
    steps = grid.regimes["short_steps" if unit.training == "short" else "long_steps"]
    mlp: dict[str, Any] = {"hidden": grid.hidden, "activation": "relu"} if unit.mlp == "relu" else {}
    key = int(np.random.default_rng([grid.seed, number_of(unit)]).integers(2**31))
    return train(
        task_of(grid, unit),
        key,
        layers=grid.layers,
        shots=grid.training_shots,
        batch=grid.batch,
        seeds=grid.seeds,
        steps=int(steps),
        progress=progress,
        **ATTENTION[unit.attention],
        **mlp,
        **finite,
    ).models


def in_regime(grid: Grid, unit: Unit, regime: str, member: int, model: Model) -> Model:
    """A member as it is used in a regime, in float64: with Gaussian noise on every matrix, or as it was trained.

    Every entry of a matrix gets noise of the same size, a share of the root mean square entry.

    Args:
        grid: the numbers.
        unit: its ensemble.
        regime: one of the unit's.
        member: its number.
        model: the trained weights.
    """
    rng = np.random.default_rng([grid.seed, number_of(unit), 1, member])
    share = grid.regimes["weight_noise"] if regime == "noisy" else 0.0
    matrices = {}
    for name in MATRICES:
        if getattr(model, name) is not None:
            matrix = np.asarray(getattr(model, name), dtype=np.float64)
            size = np.sqrt((matrix**2).mean(axis=(1, 2), keepdims=True))
            matrices[name] = matrix + share * size * rng.standard_normal(matrix.shape)
    options = {name: getattr(model, name) for name in OPTIONS}
    return Model.create(**matrices, **options, precision="float64")
