"""All numbers of a unit of the prediction grid: exact risks, bounds and gaps by regime, module and rank."""

import math
from typing import Any

import numpy as np

from icl_theory.core.progress import Progress
from icl_theory.grids.prediction.models import (
    PredictionGrid,
    PredictionUnit,
    generator_of,
    in_regime,
    task_of,
    trained,
)
from icl_theory.information.forward_pass.bounds import forward_pass_bounds
from icl_theory.information.ladder.bound_ladder import bound_ladder
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.risk.one_layer import one_layer_risk
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.truncation.module_truncation import ModuleTruncations

MODULES: tuple[Module, ...] = ("value", "key", "key_query")
NUMBERS = ("risk", "risk_in_metric", "readout", "gaussian", "wishart_readout", "support", "gap", "empirical_loss")
"""Of a truncation: exact risk, that after truncation in the metric of the update, three bounds, d_S, the measured gap
and the loss on the demonstrations, both of the clipped loss with the noise of the implicit gradient."""
DIGITS = 6


def unit_record(grid: PredictionGrid, unit: PredictionUnit, progress: Progress | None = None) -> dict[str, Any]:
    """The numbers of a unit as plain lists; None where one is not finite.

    By regime "singular_values" of every module, shape (seeds, ranks), and "modules", shape (seeds, ranks, numbers),
    ranks from 1 to the full one.

    Args:
        grid: the numbers.
        unit: which ensemble.
        progress: called with (what, done, total).
    """
    models, regimes = trained(grid, unit, progress), grid.regimes_of(unit)
    found: dict[str, Any] = {"unit": list(unit.key), "regimes": {}}
    for regime in regimes:
        modules: dict[str, list] = {module: [] for module in MODULES}
        values: dict[str, list] = {module: [] for module in MODULES}
        for seed in range(grid.seeds):
            model = in_regime(grid, unit, regime, seed, models)
            for module in MODULES:
                rows, singular = _of_module(grid, unit, regime, seed, model, module)
                modules[module].append(rows)
                values[module].append(singular)
            if progress is not None:
                progress(f"{unit.name}, {regime}", seed + 1, grid.seeds)
        found["regimes"][regime] = {"modules": modules, "singular_values": values}
    return found


def _of_module(
    grid: PredictionGrid, unit: PredictionUnit, regime: str, seed: int, model: Model, module: Module
) -> tuple[list[list[float | None]], list[float | None]]:
    """A row of numbers for every rank, and the singular values of the matrix."""
    task, shots = task_of(grid, unit, shifted=regime == "shifted"), grid.shots_of(regime)
    rng = generator_of(grid, unit, 2, seed)  # the same draws in every regime and for every rank
    w = task.sample_tasks(rng, 1)[0]
    moments = task.sample_moments(rng, grid.metric_prompts, shots)[0]
    key = int(rng.integers(2**31))
    plain = ModuleTruncations(model, layer=0, module=module)
    metric = ModuleTruncations(model, layer=0, module=module, inputs=moments, target="update")
    rows = [
        _numbers(grid, task, shots, plain[rank], metric[rank], {"task_vector": w, "key": key})
        for rank in range(1, len(plain))
    ]
    matrix = np.swapaxes(model.key[0], 0, 1) @ model.query[0] if module == "key_query" else getattr(model, module)[0]
    return rows, [_rounded(value) for value in np.linalg.svd(matrix, compute_uv=False)]


def _numbers(
    grid: PredictionGrid, task: LinearRegression, shots: int, plain: Model, metric: Model, draws: dict[str, Any]
) -> list[float | None]:
    """In the order of `NUMBERS`."""
    options: dict[str, Any] = {"demonstrations": grid.demonstrations, "shots": shots, "clip": grid.clip, **draws}
    ladder = bound_ladder(plain, task, samples=grid.samples, **options)
    forward = forward_pass_bounds(plain, task, samples=grid.samples, **options)
    values = (
        one_layer_risk(plain, task, shots),
        one_layer_risk(metric, task, shots),
        ladder.kl_rungs["readout"].value,
        ladder.kl_rungs["gaussian"].value,
        forward.kl_rungs["wishart_readout"].value,
        float(ladder.support[0]),
        ladder.gap.value,
        ladder.empirical_loss.value,
    )
    return [_rounded(value) for value in values]


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS - 1}e}") if math.isfinite(value) else None
