"""A grid small enough for the tests, and records with made-up numbers."""

import dataclasses
from typing import Any

import numpy as np

from icl_theory.grids.edits import edits_of
from icl_theory.grids.registration import Grid, grid
from icl_theory.grids.table import Table

FACTORS: dict[str, Any] = {
    "attention": ("linear",),
    "mlp": ("none",),
    "task": ("regression", "classification"),
    "regime": ("short", "converged", "noisy", "shifted"),
    "shots": (0, 4),
}


def small_grid(**changes: Any) -> Grid:
    """Two seeds, few prompts, four ensembles of a few steps."""
    full = grid("full")
    small: dict[str, Any] = {"seeds": 2, "validation": 6, "test": 10, "seed": 3, "batch": 4, "factors": FACTORS}
    small["regimes"] = full.regimes | {"short_steps": 2, "long_steps": 3, "finite_prompts": 8}
    return dataclasses.replace(full, **(small | changes))


def made_up(registered: Grid, seed: int = 0) -> list[dict[str, Any]]:
    """Records of every unit whose numbers are drawn at random."""
    rng, found = np.random.default_rng(seed), []
    for unit in registered.units:
        names = ("value", "key", "query", *(("mlp_in", "mlp_out") if unit.mlp == "relu" else ()))
        regimes = {}
        for regime in registered.regimes_of(unit):
            shots = {
                str(number): {
                    "before": rng.standard_normal((registered.seeds, 3)).tolist(),
                    "edits": rng.standard_normal((registered.seeds, len(edits_of(registered, unit.mlp)), 3)).tolist(),
                }
                for number in registered.factors["shots"]
                if number
            }
            conditions = {n: np.exp(rng.standard_normal((registered.seeds, registered.layers))).tolist() for n in names}
            regimes[regime] = {"conditions": conditions, "shots": shots}
        found.append({"unit": [unit.attention, unit.mlp, unit.task, unit.training], "regimes": regimes})
    return found


def made_up_table(seed: int = 0, **changes: Any) -> Table:
    """A table of all levels of the full grid, with five seeds of made-up numbers."""
    registered = dataclasses.replace(grid("full"), **({"seeds": 5} | changes))
    return Table(registered, made_up(registered, seed))
