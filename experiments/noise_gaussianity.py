"""How far from Gaussian the noise of b out of N demonstrations is, against b: tests, exact kurtosis, Q-Q data.

python experiments/noise_gaussianity.py --out runs/noise_gaussianity
"""

import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from icl_theory import LinearRegression, normality_audit, random_weights
from icl_theory.records.files import write_json
from icl_theory.runs.directory import from_arguments
from icl_theory.truncation.module_truncation import truncate_weights

DIM, SEED, SAMPLES = 5, 0, 1000
SHOTS = {80: (1, 2, 5, 10, 20, 40, 60, 75, 79), 800: (1, 5, 20, 80, 400, 720, 799)}
RANKS = (6, 1)  # of W_V: d_S = 21 and 6


def main() -> int:
    """Print the table and write `records.json`."""
    out = from_arguments(__doc__, "runs/noise_gaussianity")
    heads = ("N", "b", "d", "exact kurtosis / d(d+2) - 1", "distance", "p skewness", "p kurtosis", "p Henze-Zirkler")
    table, records = Table(*heads, title=f"{SAMPLES} subsets each"), []
    task, rng = LinearRegression(DIM, noise_std=0.5), np.random.default_rng(SEED)
    model = random_weights(SEED, layers=1, token_dim=DIM + 1)
    vector = task.sample_tasks(rng, 1)
    for count, shots in SHOTS.items():
        tokens = task.sample_tokens(rng, vector, count)[0]
        for rank in RANKS:
            member = truncate_weights(model, layer=0, module="value", rank=rank)
            for record in normality_audit(member, tokens, shots=shots, samples=SAMPLES, key=SEED):
                tests = (record.skewness, record.kurtosis, record.henze_zirkler)
                sizes = map(str, (count, record.shots, record.dimension))
                table.add_row(
                    *sizes, f"{record.excess:+.4f}", f"{record.distance:.3f}", *(f"{t.p_value:.2g}" for t in tests)
                )
                records.append(vars(record) | {"value_rank": rank})
    Console(width=130).print(table)
    print(write_json(out / "records.json", {"seed": SEED, "records": records}), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
