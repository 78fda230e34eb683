"""App. B.6 on the registered grid: as the rate grows, does the performance first rise and then decline?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "rise_then_decline",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. One layer, "
    "its whole attention at ranks 6, 5, 3, 1; the middle rank chosen on validation prompts has to beat both "
    "ends by the margin. Only the decline is there.",
    small=1.0,
)
