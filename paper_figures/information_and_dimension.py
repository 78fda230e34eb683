"""Information against the input dimension, as PDF and PNG, from the record of a run.

icl-theory figures information_and_dimension --out runs/figures
python paper_figures/information_and_dimension.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("information_and_dimension", __doc__))
