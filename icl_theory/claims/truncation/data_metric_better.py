"""Truncation in the metric of the update against SVD at equal rank, by exact risks of one layer."""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "data_metric_better",
    "One-layer models on isotropic, anisotropic and low-rank tasks, in seven regimes, $W_V$, $W_K$ and $W_Kᵀ "
    "W_Q$ at every rank; risks are exact. For anisotropic inputs it is better as a rule; for isotropic ones "
    "there is little to choose, and what the metric reads off prompts costs as much as it gains.",
    small=20.0,
)
