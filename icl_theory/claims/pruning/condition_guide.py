"""Section 3.4: do condition numbers tell which layer gains by truncation?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "condition_guide",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. The layer "
    "with the largest condition number against the mean over all layers, each at the rank that validation "
    "prompts prefer. As many cells speak against it as for it, few of either, and no factor decides: condition "
    "numbers are no guide to the layer here.",
    small=1.0,
)
