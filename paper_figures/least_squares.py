"""Figure 5: trained models against least squares and ridge, as PDF and PNG, from the record of a run.

icl-theory figures least_squares --out runs/figures
python paper_figures/least_squares.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("least_squares", __doc__))
