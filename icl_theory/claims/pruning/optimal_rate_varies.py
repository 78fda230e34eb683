"""App. B.4 on the registered grid: does the best clipping rate depend on the number of demonstrations?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "optimal_rate_varies",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. A rate "
    "counts as another one if it is better where it was chosen, both ways, by the margin. As a rule both "
    "numbers choose the same rank, or ranks that differ by less than the margin.",
    small=1.0,
)
