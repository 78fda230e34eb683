"""Do bounds on the gap foretell, along the ranks of a matrix, which truncation has the smaller risk?"""

from icl_theory.claims.engine.finding_claim import finding_claim

CLAIM = finding_claim(
    "bound_predicts_risk",
    "One-layer models on isotropic, anisotropic and low-rank tasks, in seven regimes, $W_V$, $W_K$ and $W_Kᵀ "
    "W_Q$ at every rank; risks are exact. Every predictor falls with the rank, and so does the risk only after "
    "training on 32 prompts and under the shift: elsewhere a smaller bound goes with a larger risk. No "
    "predictor is better than another.",
    small=2.0,
)
