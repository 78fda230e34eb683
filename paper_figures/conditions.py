"""Figure 3: condition numbers by layer and matrix, as PDF and PNG, from the record of a run.

icl-theory figures conditions --out runs/figures
python paper_figures/conditions.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("conditions", __doc__))
