"""App. B.3 and Remark 5 on the registered grid: does clipping act less evenly in a shallow layer?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "shallow_clipping_uneven",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. The paper "
    "gives no measure of a steady impact; ours is the standard deviation over prompts of the change of the "
    "error. It is a fact of $W_V$; for $W_K$ and $W_Q$ it depends on the task.",
    small=20.0,
)
