"""P3 on the registered grid: does clipping a shallow layer harm more with more demonstrations?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "shots_and_collapse",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. Four pairs "
    "of numbers of demonstrations around the 20 of training; without any the prediction is 0 whatever the "
    "weights. It holds more often for softmax than for linear attention, and for regression than for "
    "classification.",
    small=20.0,
)
