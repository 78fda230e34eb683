"""App. B.3 on the registered grid: does clipping a single matrix do little harm at its best rank?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "single_module",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. One matrix "
    "of one layer, its rank below the full one chosen on validation prompts. The last layer bears it best.",
    small=1.0,
)
