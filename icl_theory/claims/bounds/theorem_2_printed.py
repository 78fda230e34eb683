"""Theorem 2 as printed, D ≥ 2: its hypothesis cannot be met."""

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control, Verdict
from icl_theory.claims.quantities.ladder_values import generalization_gap
from icl_theory.claims.quantities.repaired_theorem_2 import repaired_bound
from icl_theory.core.estimate import Estimate
from icl_theory.noise.covariance import gradient_noise

DEFINITE = Assumption(
    "the noise covariance $C_t$ is positive definite on all $D²$ coordinates",
    holds=lambda case: (
        gradient_noise(case.model, case.demonstrations, shots=case.shots).rank == case.model.token_dim**2
    ),
    # rank C_t ≤ D(D+1)/2 whatever the weights and the data: see the claim `positive_definiteness`.
    attainable=lambda case: case.model.token_dim * (case.model.token_dim + 1) // 2 >= case.model.token_dim**2,
)


def _control(case: Case) -> Estimate:
    bound = repaired_bound(case)
    return Estimate(0.005 * bound.value, 0.005 * bound.stderr)


CLAIM = Claim(
    source="Y Theorem 2, arXiv:2406.03768v2",
    statement="If $C_t ≻ 0$ ($D ≥ 2$): $gap ≤ sqrt((R²/N) Σ_t E[D² log((||ΔW_t||² ||I + W_{t-1}||² + tr C_t)/D²) "
    "- log det C_t])$.",
    origin="paper",
    relation="at most",
    measure=generalization_gap,
    predict=lambda case: case.ladder().rungs["theorem_2_printed"],
    trivial=lambda case: case.ladder().trivial,
    assumptions=(DEFINITE,),
    explanation="$C_t ≻ 0$ fails for every $D ≥ 2$, so $log det C_t = -inf$ and the right side is +inf: nothing "
    "is said. Truncation makes $C_t$ more singular still. The one case in which it can hold, $D = 1$, is "
    "theorem_2_scalar.",
    controls=(
        Control(
            "repaired right side, hypothesis dropped",
            predict=repaired_bound,
            assumptions=(),
            expected=Verdict.HOLDS,
        ),
        Control("repaired right side / 200, hypothesis dropped", predict=lambda case: _control(case), assumptions=()),
        Control(
            "gap and repaired right side exchanged, hypothesis dropped",
            measure=repaired_bound,
            predict=generalization_gap,
            assumptions=(),
        ),
    ),
)
