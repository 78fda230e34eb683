"""The rank of the task in the spectrum of the key-query product, as PDF and PNG, from the record of a run.

icl-theory figures task_rank --out runs/figures
python paper_figures/task_rank.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("task_rank", __doc__))
