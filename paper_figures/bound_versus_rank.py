"""Bound versus rank and the other figures of a sweep, as PDF and PNG, from the records of a run.

    python paper_figures/bound_versus_rank.py runs/bound_versus_rank/records.json [--out DIRECTORY]

Reads the `sweep` of any record file that has one: of the experiment, of `icl-theory bounds` or of `icl-theory verify`.
"""

import argparse
import sys
from pathlib import Path

from icl_theory.figures.sweep import sweep_figures
from icl_theory.records.files import read_json

OUTPUT = Path(__file__).parent / "output"


def main() -> int:
    """Draw and name the files written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", type=Path, help="records.json of a run")
    parser.add_argument("--out", type=Path, default=OUTPUT, help="where the figures go (default: %(default)s)")
    arguments = parser.parse_args()
    try:
        document = read_json(arguments.records)
        sweep = document.get("sweep", []) if isinstance(document, dict) else []
        files = sweep_figures(sweep, arguments.out)
    except ValueError as error:
        parser.error(str(error))
    for path in files:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
