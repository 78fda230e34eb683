"""Algorithm 1 on the registered grid: does the rank it finds lower the error on untouched prompts?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "algorithm_1",
    "Three-layer models of every kind of the grid (linear, softmax and causal softmax attention, with and "
    "without an MLP, on regression, low-rank regression and classification), used in five regimes. The deeper "
    "of the two layers with the largest condition numbers, its rank chosen on validation prompts, no "
    "truncation among the ranks. Where it gains it is for regression, on few demonstrations and under the "
    "shift; for classification it never gains half a point.",
    small=1.0,
)
