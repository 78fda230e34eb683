"""Figure 1: clipping by layer, module and rate, as PDF and PNG, from the record of a run.

icl-theory figures clipping_by_layer --out runs/figures
python paper_figures/clipping_by_layer.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("clipping_by_layer", __doc__))
