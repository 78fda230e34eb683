"""P1 on the registered grid: does some clipping lower the test error, chosen on validation prompts?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "clipping_helps",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. Every "
    "layer, module and rate that $D = 6$ allows is tried on validation prompts and the best one reported on "
    "others. It helps in few cells, most often for regression and under the shift, and hardly ever for "
    "classification by accuracy.",
    small=1.0,
)
