"""Quantiles of the noise of the implicit gradient, as PDF and PNG, from the record of a run.

icl-theory figures noise_quantiles --out runs/figures
python paper_figures/noise_quantiles.py --records runs/figures [--out DIRECTORY]
"""

import sys

from icl_theory.runs.figures import script

if __name__ == "__main__":
    sys.exit(script("noise_quantiles", __doc__))
