"""Records shaped like those of a sweep, made without one."""

from typing import Any

import numpy as np

from icl_theory.records.documents import to_plain

RUNGS = ("mutual_information", "gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired")


NEVER = "its hypothesis C_t ≻ 0 never holds, since rank C_t < D²"


def entry(value: float, note: str = "") -> dict[str, Any]:
    return {"value": value, "stderr": 0.01 * abs(value) if np.isfinite(value) else 0.0, "direction": "upper"} | (
        {"note": note} if note else {}
    )


FORWARD = {"gap": entry(0.04), "rungs": {"wishart_readout": entry(0.2), "wishart": entry(0.4)}}


def sweep(
    seeds: int = 3, modules: tuple[str, ...] = ("value",), layers: int = 1, gap: float = 0.05, tasks: int = 1
) -> list[dict[str, Any]]:
    """Records shaped like those of `rank_sweep`; every bound is infinite at rank 6, the printed one everywhere.

    With several tasks the gap differs between them, and the bounds on the forward pass are there.
    """
    rows = []
    for task, seed, module, layer, rank in np.ndindex(tasks, seeds, len(modules), layers, 6):
        information = {name: 0.4 * (rank + 1) * (i + 1) + 0.1 * seed for i, name in enumerate(RUNGS)}
        if rank == 5:
            information = dict.fromkeys(RUNGS, np.inf)
        bounds = {name: entry(2 * (2 * value / 80) ** 0.5) for name, value in information.items()}
        upper = information["mutual_information"]
        rows.append(
            {
                "task": task,
                "seed": seed,
                "layer": layer,
                "module": modules[module],
                "rank": rank + 1,
                "demonstrations": 80,
            }
            | {"shots": 20, "support": [6 * (rank + 1)] * layers, "trivial": 4.0, "gap": entry(gap * (1 + task))}
            | {"population_loss": entry(0.5), "population_risk": entry(1.0 - 0.1 * rank)}
            | {"rungs": bounds | {"theorem_2_printed": entry(np.inf, NEVER)}}
            | {"information": {name: entry(value) for name, value in information.items()}}
            | ({"forward_pass": FORWARD} if tasks > 1 else {})
            | {"sandwich": {"lower": entry(0.8 * upper), "upper": entry(upper), "saturated": False}}
        )
    return to_plain(rows)
