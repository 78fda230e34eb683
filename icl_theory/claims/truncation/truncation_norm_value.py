"""Norms under truncation of W_V: a Pythagorean identity, so the norm of a single layer's ΔW never grows."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.symbolic_matrices import norm_excess, rotation
from icl_theory.claims.quantities.update_norms import rows_zeroed, truncated_parts, update_norm


def proof() -> bool:
    """$D = 2$ with symbols: $W_V = U diag(s, t) Vᵀ$ cut to $U diag(s, 0) Vᵀ$, times any matrix $X$ from the right."""
    s, t = sp.symbols("s t", positive=True)
    left, right, x = rotation("p"), rotation("q"), sp.Matrix(2, 2, sp.symbols("x:4"))
    return norm_excess(left * sp.diag(s, 0) * right.T * x, left * sp.diag(0, t) * right.T * x) == 0


def measure(case: Case) -> np.ndarray:
    """$||ΔW_r||_F² + ||ΔW - ΔW_r||_F²$ at every rank $r$ of $W_V$."""
    return np.add(*truncated_parts(case, "value"))


CLAIM = Claim(
    source="Y Examples 1 and 3, App. A.6, arXiv:2406.03768v2; as an identity new",
    statement="$||ΔW||_F² = ||ΔW_r||_F² + ||ΔW - ΔW_r||_F²$ when $W_V$ is truncated: the norm never grows.",
    origin="repaired",
    relation="equal",
    measure=measure,
    predict=update_norm,
    proof=proof,
    explanation="Every rank of the first layer's $W_V$. The left singular spaces of the kept and dropped part are "
    "orthogonal, and $W_V$ multiplies $ΔW$ from the left; stronger than the paper's triangle inequality.",
    requires=(),
    controls=(
        Control("$W_K$ truncated instead", measure=lambda case: np.add(*truncated_parts(case, "key"))),
        Control("columns cut instead of singular values", measure=lambda case: rows_zeroed(case, "value")),
        Control("norm off by 1 %", predict=lambda case: 1.01 * update_norm(case)),
    ),
)
