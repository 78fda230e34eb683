"""Do bounds on the gap foretell, along the ranks of a matrix, which truncation has the smaller gap?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "bound_predicts_gap",
    "One-layer models on isotropic, anisotropic and low-rank tasks, in seven regimes, $W_V$, $W_K$ and $W_Kᵀ "
    "W_Q$ at every rank; risks are exact.",
    small=2.0,
)
