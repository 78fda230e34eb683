"""Figure 4: the gains of Algorithm 1, as PDF and PNG, from the record of a run.

icl-theory figures algorithm_1 --out runs/figures
python paper_figures/algorithm_1.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("algorithm_1", __doc__))
