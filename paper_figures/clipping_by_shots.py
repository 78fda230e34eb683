"""Figure 2: clipping against the number of demonstrations, as PDF and PNG, from the record of a run.

icl-theory figures clipping_by_shots --out runs/figures
python paper_figures/clipping_by_shots.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("clipping_by_shots", __doc__))
