"""P1 with exact risks: in which settings does truncation of one matrix lower the risk of one layer?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "exact_gain",
    "One-layer models on isotropic, anisotropic and low-rank tasks, in seven regimes, $W_V$, $W_K$ and $W_Kᵀ "
    "W_Q$ at every rank; risks are exact. Truncation helps after training on 32 prompts and under the shift; "
    "after training on ever fresh prompts it never does, as at the optimum, where that is proved.",
    small=2.0,
)
