"""All findings on the registered grid, as PDF and PNG, from the record of a run.

icl-theory figures findings --out runs/figures
python paper_figures/findings.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("findings", __doc__))
