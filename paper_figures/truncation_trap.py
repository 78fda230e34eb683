"""The truncation trap, as PDF and PNG, from the record of a run.

icl-theory figures truncation_trap --out runs/figures
python paper_figures/truncation_trap.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("truncation_trap", __doc__))
