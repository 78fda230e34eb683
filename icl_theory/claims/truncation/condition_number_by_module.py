"""Figure 3, modules, on the registered grid: is the MLP better conditioned than the attention?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "mlp_conditioned",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. Of each "
    "module the worst of its matrices; the MLP is twice as wide as the tokens. It holds in every cell.",
    small=20.0,
)
