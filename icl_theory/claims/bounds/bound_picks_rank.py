"""Does empirical loss plus bound pick a rank whose risk is near the best?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "bound_picks_rank",
    "One-layer models on isotropic, anisotropic and low-rank tasks, in seven regimes, $W_V$, $W_K$ and $W_Kᵀ "
    "W_Q$ at every rank; risks are exact. Any rank of $W_V$ will do, since the loss does not read it; for "
    "$W_K$ and the product the rank picked is as often too small as not.",
    small=1.0,
)
