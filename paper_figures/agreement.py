"""Agreement with gradient descent along training, as PDF and PNG, from the record of a run.

icl-theory figures agreement --out runs/figures
python paper_figures/agreement.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("agreement", __doc__))
