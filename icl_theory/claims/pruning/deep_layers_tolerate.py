"""P2 on the registered grid: does a deep layer tolerate heavy clipping better than a shallow one?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "deep_layers_tolerate",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. The last of "
    "three layers against the first, on the same prompts. The models of the paper have 28 and 32 layers, of "
    "which it compares the first two with the last two. It holds for regression nearly everywhere; for "
    "classification under causal softmax the reverse is as frequent, and the cell nearest to the paper is "
    "against it.",
    small=20.0,
)
