"""When truncation can lower the exact risk of one layer, as PDF and PNG, from the record of a run.

icl-theory figures exact_gain --out runs/figures
python paper_figures/exact_gain.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("exact_gain", __doc__))
