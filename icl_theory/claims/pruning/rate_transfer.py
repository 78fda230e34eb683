"""App. B.5 on the registered grid: can a rate chosen on one task improve it and deteriorate another?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "rate_transfer",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. The other "
    "task is that of training; the one on which the rate is chosen has noisier labels. It happens for "
    "regression with $W_K$, $W_Q$ or the whole attention, and hardly ever for classification.",
    small=5.0,
)
