"""Bounds on all of W and on the readout, side by side, as PDF and PNG, from the record of a run.

icl-theory figures readout --out runs/figures
python paper_figures/readout.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("readout", __doc__))
