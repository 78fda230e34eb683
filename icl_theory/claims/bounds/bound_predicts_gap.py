"""Do bounds on the gap foretell, along the ranks of a matrix, which truncation has the smaller gap?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "bound_predicts_gap",
    "One-layer models on isotropic, anisotropic and low-rank tasks, in seven regimes, $W_V$, $W_K$ and $W_Kᵀ "
    "W_Q$ at every rank; risks are exact. For $W_K$ and $W_Kᵀ W_Q$ it holds as a rule; for $W_V$, whose rows "
    "the loss does not read, the measured gap does not follow.",
    small=2.0,
)
