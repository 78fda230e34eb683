"""The counterexample to Theorem 2, as PDF and PNG, from the record of a run.

icl-theory figures theorem_2 --out runs/figures
python paper_figures/theorem_2.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("theorem_2", __doc__))
