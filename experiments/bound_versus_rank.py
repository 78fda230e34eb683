"""Bound versus rank for trained one-layer models: every rank of W_V, W_K and W_Q, eight seeds.

python experiments/bound_versus_rank.py --out runs/bound_versus_rank
python paper_figures/bound_versus_rank.py runs/bound_versus_rank/records.json
"""

import argparse
import sys
from pathlib import Path

from icl_theory.records.files import write_bytes, write_json
from icl_theory.records.sweep_csv import sweep_csv
from icl_theory.report.terminal.console import LiveProgress
from icl_theory.runs.bounds import prepare, run
from icl_theory.runs.bounds_config import SweepConfig

CONFIG = SweepConfig(
    model="trained",
    dim=5,  # d_x, so D = 6 and ranks go from 1 to 6
    layers=1,
    demonstrations=80,  # N: more than d_S + 1 = 22, so that no noise floor is needed
    shots=20,  # b, in training and in the noise
    noise_std=0.5,
    modules=("value", "key", "query"),
    ranks=(),  # all
    samples=2048,
    seeds=8,
    steps=2000,
    clip=4.0,  # c, so R = 2
    floor=0.0,
    seed=0,
)


def main() -> int:
    """Write `records.json` and `records.csv` of the run described by CONFIG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/bound_versus_rank"), help="run directory")
    parser.add_argument("--overwrite", action="store_true", help="replace the records of an earlier run")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run in that directory")
    arguments = parser.parse_args()
    try:
        out = prepare(CONFIG, arguments.out, overwrite=arguments.overwrite, resume=arguments.resume)
        with LiveProgress() as progress:
            document = run(CONFIG, progress, out=out, resume=arguments.resume)
    except ValueError as error:
        parser.error(str(error))
    write_bytes(out / "records.csv", sweep_csv(document["sweep"]).encode("utf-8"))
    print(write_json(out / "records.json", document), file=sys.stderr)
    return 1 if document["diverged"] else 0


if __name__ == "__main__":
    sys.exit(main())
