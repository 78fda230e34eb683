"""P1 with exact risks: in which settings does truncation of one matrix lower the risk of one layer?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "exact_gain",
    "One-layer models on isotropic, anisotropic and low-rank tasks, in seven regimes, $W_V$, $W_K$ and $W_Kᵀ "
    "W_Q$ at every rank; risks are exact.",
    small=2.0,
)
