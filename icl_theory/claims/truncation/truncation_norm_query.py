"""Norms under truncation of W_Q: the same Pythagorean identity, from the right."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.symbolic_matrices import norm_excess, rotation
from icl_theory.claims.quantities.update_norms import rows_zeroed, truncated_parts, update_norm


def proof() -> bool:
    """$D = 2$ with symbols: any matrix $X$ times $W_Q = U diag(s, t) Vᵀ$, cut to $U diag(s, 0) Vᵀ$."""
    s, t = sp.symbols("s t", positive=True)
    left, right, x = rotation("p"), rotation("q"), sp.Matrix(2, 2, sp.symbols("x:4"))
    return norm_excess(x * left * sp.diag(s, 0) * right.T, x * left * sp.diag(0, t) * right.T) == 0


def measure(case: Case) -> np.ndarray:
    """$||ΔW_r||_F² + ||ΔW - ΔW_r||_F²$ at every rank $r$ of $W_Q$."""
    return np.add(*truncated_parts(case, "query"))


CLAIM = Claim(
    source="Y Example 2, App. A.6, arXiv:2406.03768v2; as an identity new",
    statement="$||ΔW||_F² = ||ΔW_r||_F² + ||ΔW - ΔW_r||_F²$ when $W_Q$ is truncated: the norm never grows.",
    origin="repaired",
    relation="equal",
    measure=measure,
    predict=update_norm,
    proof=proof,
    explanation="Every rank of the first layer's $W_Q$. The right singular spaces of the kept and dropped part are "
    "orthogonal, and $W_Q$ multiplies $ΔW$ from the right. The paper argues by the triangle inequality (Eq. 20), whose "
    "right side $||ΔW_r|| + ||ΔW - ΔW_r||$ is at least $||ΔW||$ at every rank; the same words would prove it for "
    "$W_K$, where it is false (truncation_norm_key).",
    requires=(),
    controls=(
        Control("$W_K$ truncated instead", measure=lambda case: np.add(*truncated_parts(case, "key"))),
        Control("rows cut instead of singular values", measure=lambda case: rows_zeroed(case, "query")),
        Control("norm off by 1 %", predict=lambda case: 1.01 * update_norm(case)),
    ),
)
