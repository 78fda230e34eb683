"""P1, harmless: does some clipping of the trained weights do as well as none?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "clipping_harmless",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. Every "
    "layer, module and rate that $D = 6$ allows is tried on validation prompts and the best one reported on "
    "others. Most cells are undecided: the margin is about as wide as their intervals. Few speak against it.",
    small=1.0,
)
