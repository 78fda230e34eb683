"""Remark 4 on tr C_t repaired: the paper's "UB" bounds the noise, and truncation lowers it."""

import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.noise_traces import noise_trace
from icl_theory.claims.quantities.symbolic_matrices import product_of_norms_proof
from icl_theory.claims.quantities.update_norms import upper_bound
from icl_theory.noise.covariance import sampling_factor


def bound(case: Case) -> float:
    """$(N-b)/(b(N-1)) UB/N$, with $UB = Σ_i ||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F²$."""
    count = len(case.demonstrations)
    return sampling_factor(count, case.shots) * upper_bound(case) / count


def proof(count: int = 3) -> bool:
    """With symbols: a variance is the mean of squares less the square of the mean; and Lagrange for $||b_iᵀ W_Q||$."""
    entries = sp.symbols(f"g:{count}", real=True)
    squares = sum((g**2 for g in entries), sp.Integer(0)) / count
    centred = sum(((g - sum(entries) / count) ** 2 for g in entries), sp.Integer(0)) / count
    return sp.expand(squares - centred - (sum(entries) / count) ** 2) == 0 and product_of_norms_proof()


CLAIM = Claim(
    source="Y Remark 4 (trace of the noise) repaired, with UB of Example 1, arXiv:2406.03768v2",
    statement="$tr C_t ≤ ((N-b)/(b(N-1))) UB/N$, $UB = Σ_i ||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F²$.",
    origin="repaired",
    relation="at most",
    measure=noise_trace,
    predict=bound,
    explanation="First layer, mean convention. The trace is the mean of the squared norms of the gradients less that "
    "of their mean, and UB adds up the former. UB falls under truncation of any of the three matrices "
    "(upper_bound_truncation): what the trace itself need not do, its bound does.",
    proof=proof,
    requires=(),
    controls=(
        Control("bound divided by $N$", predict=lambda case: bound(case) / len(case.demonstrations)),
        Control("bound divided by $D²$", predict=lambda case: bound(case) / case.model.token_dim**2),
    ),
)
