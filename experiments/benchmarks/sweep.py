"""A full sweep: 16 models x 3 layers x 3 modules x all ranks at d = 5, every rung of the ladder, the gap and the risk.

The time is compared with that of as many calls of `bound_ladder`, each with draws of its own, extrapolated from nine of
them (so a ratio comes from one run). Exit status 1 if the sweep takes more than three minutes for sixteen models, in
wall time or, on a machine with other work, in processor time; or if a rung is missing or not a number.
"""

import argparse
import math
import sys
import time

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from icl_theory import LinearRegression, bound_ladder, random_weights, rank_sweep, truncate_weights
from icl_theory.information.ladder.rungs import RUNGS
from icl_theory.models.options import Module

SEEDS, LAYERS, DIMENSION = 16, 3, 6
MODULES: tuple[Module, ...] = ("value", "key", "query")
OPTIONS = {"demonstrations": 80, "shots": 20, "clip": 4.0, "samples": 256, "key": 0}
LONGEST = 180.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="models; the limit is scaled (default: %(default)s)")
    seeds = parser.parse_args().seeds
    task = LinearRegression(DIMENSION - 1, noise_std=0.5)
    drawn = [random_weights(seed, layers=LAYERS, token_dim=DIMENSION, scale=0.4) for seed in range(seeds)]
    model = jax.tree.map(lambda *matrices: np.stack(matrices), *drawn)
    plan: list[tuple[int, Module]] = [(layer, module) for layer in range(LAYERS) for module in MODULES]
    start = time.perf_counter()
    for layer, module in plan:
        bound_ladder(truncate_weights(drawn[0], layer=layer, module=module, rank=3), task, **OPTIONS)
    single = (time.perf_counter() - start) / len(plan)
    start, busy = time.perf_counter(), time.process_time()
    records = rank_sweep(model, task, modules=MODULES, **OPTIONS)
    wall, busy = time.perf_counter() - start, time.process_time() - busy
    whole = all(set(RUNGS) == record["rungs"].keys() for record in records)
    known = all(not math.isnan(rung["value"]) for record in records for rung in record["rungs"].values())
    table = Table("", "measured", title=f"{len(records)} entries, {OPTIONS['samples']} runs each")
    table.add_row("wall time", f"{wall:.0f} s ({wall / len(records):.3f} s an entry)")
    table.add_row("processor time", f"{busy:.0f} s")
    table.add_row("one call of bound_ladder with draws of its own", f"{single:.3f} s")
    table.add_row("sweep over as many such calls", f"{wall / (single * len(records)):.2f}")
    table.add_row("every rung there, none not a number", str(whole and known))
    Console(width=100).print(table)
    return 0 if min(wall, busy) <= LONGEST * seeds / SEEDS and whole and known else 1


if __name__ == "__main__":
    sys.exit(main())
