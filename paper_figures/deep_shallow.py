"""Heat map of finding P2: deep against shallow layers, as PDF and PNG, from the record of a run.

icl-theory figures deep_shallow --out runs/figures
python paper_figures/deep_shallow.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("deep_shallow", __doc__))
