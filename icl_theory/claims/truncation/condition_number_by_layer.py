"""Figure 3, depth, on the registered grid: do condition numbers tend to grow with depth?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "conditions_grow",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. Kendall's "
    "rank correlation, since single condition numbers spread over orders of magnitude. $W_V$ does as the paper "
    "says, the outer matrix of the MLP does the reverse; of the last layer only the label's row of the update "
    "is read, so that its $W_V$ is trained along one direction.",
    small=1.5,
)
