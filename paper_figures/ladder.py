"""The bound ladder against the rank of W_K, as PDF and PNG, from the record of a run.

icl-theory figures ladder --out runs/figures
python paper_figures/ladder.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("ladder", __doc__))
