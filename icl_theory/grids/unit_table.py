"""All numbers of a unit: condition numbers, errors and what every edit changes, for each regime, shots and seed."""

from typing import Any

import numpy as np

from icl_theory.core.progress import Progress
from icl_theory.grids.edits import edit_numbers, edits_of
from icl_theory.grids.populations import in_regime, number_of, task_of, trained
from icl_theory.grids.registration import Grid, Unit
from icl_theory.models.model import MATRICES, Model

DIGITS, DIGITS_OF_THIRD = 4, 3
"""Significant digits that a record keeps of changes, and of their third number."""


def unit_record(grid: Grid, unit: Unit, progress: Progress | None = None) -> dict[str, Any]:
    """The numbers of a unit as plain lists; None where one is not finite.

    "conditions": κ₂ by matrix, shape (seeds, layers). "regimes": by regime and number of demonstrations "before", the
    errors of the untouched model on validation and on test prompts and of the prediction 0 on test prompts, shape
    (seeds, 3), and "edits", shape (seeds, edits, 3). Without demonstrations every update is zero, so that the
    prediction is 0 whatever the weights; nothing is recorded.

    Args:
        grid: the numbers.
        unit: which ensemble.
        progress: called with (what, done, total).
    """
    models = trained(grid, unit, progress)
    regimes = grid.regimes_of(unit)
    shots = [int(number) for number in grid.factors["shots"] if number]
    total, done = len(regimes) * len(shots) * grid.seeds, 0
    found: dict[str, Any] = {"unit": [unit.attention, unit.mlp, unit.task, unit.training], "regimes": {}}
    for regime in regimes:
        task = task_of(grid, unit, shifted=regime == "shifted")
        members = [_finite_member(grid, unit, regime, seed, models) for seed in range(grid.seeds)]
        table: dict[str, Any] = {"conditions": _conditions(grid, members, unit), "shots": {}}
        for number in shots:
            before, edited = [], []
            for seed, member in enumerate(members):
                first, changes = _numbers(grid, unit, task, member, number, seed)
                before.append(first)
                edited.append(changes)
                done += 1
                if progress is not None:
                    progress(f"{unit.name}: edits", done, total)
            table["shots"][str(number)] = {"before": before, "edits": edited}
        found["regimes"][regime] = table
    return found


def _finite_member(grid: Grid, unit: Unit, regime: str, seed: int, models: Model) -> Model | None:
    """A member in its regime, None if its training diverged."""
    member = models.member(seed)
    finite = all(np.isfinite(getattr(member, name)).all() for name in MATRICES if getattr(member, name) is not None)
    return in_regime(grid, unit, regime, seed, member) if finite else None


def _numbers(grid: Grid, unit: Unit, task: Any, member: Model | None, shots: int, seed: int) -> tuple[list, list]:
    """Of one member: errors before, and the numbers of every edit."""
    if member is None:
        return [None] * 3, [[None] * 3] * len(edits_of(grid, unit.mlp))
    place = [grid.seed, number_of(unit), 2, shots, seed]
    key = int(np.random.default_rng(place).integers(2**62))
    prompt = task.sample(key, grid.validation + grid.test, shots)
    directions = np.random.default_rng([*place[:2], 3, seed]).standard_normal(
        (grid.random_directions, member.token_dim, member.token_dim)
    )
    before, changes = edit_numbers(grid, task, member, unit.mlp, prompt, directions)
    rows = [
        [_rounded(first, DIGITS), _rounded(second, DIGITS), _rounded(third, DIGITS_OF_THIRD)]
        for first, second, third in changes
    ]
    return [_rounded(value, DIGITS + 1) for value in before], rows


def _conditions(grid: Grid, members: list[Model | None], unit: Unit) -> dict[str, list]:
    """κ₂ = σ_max / σ_min as the numbers have it, by matrix; trained weights have full rank."""
    names = MATRICES if unit.mlp == "relu" else MATRICES[:3]
    found: dict[str, list] = {name: [] for name in names}
    for member in members:
        for name in names:
            found[name].append(
                [None] * grid.layers
                if member is None
                else [_rounded(np.linalg.cond(matrix), DIGITS) for matrix in getattr(member, name)]
            )
    return found


def _rounded(value: float, digits: int) -> float | None:
    return float(f"{value:.{digits - 1}e}") if np.isfinite(value) else None
