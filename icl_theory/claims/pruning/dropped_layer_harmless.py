"""App. B.6 on the registered grid: does it do no harm to drop a whole layer?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "dropped_layer",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. The layer "
    "that validation prompts choose to lose. The models of the paper have 28 and 32 layers; in ours each is a "
    "step of gradient descent that is missed. For classification it is true in about as many cells as not, for "
    "regression with more than four demonstrations it is false.",
    small=5.0,
)
