"""Section 2.2 on the registered grid: does the performance improve with the number of demonstrations?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "more_shots_help",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. Untouched "
    "models, trained at 20 demonstrations. The cells against it are of models that explode on four "
    "demonstrations.",
    small=20.0,
)
