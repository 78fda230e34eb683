"""Remark 5, steadiness, on the registered grid: do edits of deep layers move the prediction less?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "deep_edits_steadier",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. The paper "
    "speaks of a steadier influence on the performance without a measure of it; ours is the size of the change "
    "of the prediction, by the same random edits in both layers. It holds for $W_V$ and $W_Q$ and depends on "
    "the setting for $W_K$. Cells without a finite number are of models in which some edit does not change "
    "some prediction at all, behind a ReLU.",
    small=20.0,
)
