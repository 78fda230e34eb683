"""Remark 4 on tr C_t: truncating W_V or W_Q splits the noise by Pythagoras, so its trace never grows."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.noise_traces import noise_trace, truncated_traces
from icl_theory.claims.quantities.submodels import first_layer
from icl_theory.claims.quantities.symbolic_matrices import norm_excess, rotation
from icl_theory.noise.covariance import gradient_noise


def measure(case: Case) -> np.ndarray:
    """Kept plus cut part at every rank, for $W_V$ and for $W_Q$."""
    return np.array([np.add(*truncated_traces(case, module)) for module in ("value", "query")])


def predict(case: Case) -> float:
    """$tr C$ of the untouched layer, from its factored covariance."""
    return gradient_noise(first_layer(case.model), case.demonstrations, shots=case.shots).trace


def _columns_cut(case: Case) -> float:
    """The first half of W_V's columns in place of its leading singular part."""
    full = case.model.value[0]
    kept = full * (np.arange(len(full)) < len(full) // 2)
    return noise_trace(case, value=kept) + noise_trace(case, value=full - kept)


def proof() -> bool:
    """$D = 2$ with symbols: $g_i - G = W_V X$ with any $X$, so each term splits; and $X W_Q$, the same from the
    right."""
    s, t = sp.symbols("s t", positive=True)
    left, right, x = rotation("p"), rotation("q"), sp.Matrix(2, 2, sp.symbols("x:4"))
    kept, cut = (left * sp.diag(*values) * right.T for values in ((s, 0), (0, t)))
    return norm_excess(kept * x, cut * x) == 0 and norm_excess(x * kept, x * cut) == 0


CLAIM = Claim(
    source="Y Remark 4 (trace of the noise), arXiv:2406.03768v2, for truncation; as an identity new",
    statement="$tr C_t = tr C_t(W_r) + tr C_t(W - W_r)$ when $W$ is $W_V$ or $W_Q$: truncating them never raises the "
    "noise.",
    origin="repaired",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Every rank of the first layer's $W_V$ and $W_Q$. $g_i - G = W_V (h_i h_iᵀ - S) W_Kᵀ W_Q$: $W_V$ "
    "stands leftmost and $W_Q$ rightmost in every term, where singular spaces are orthogonal. $W_K$ stands in the "
    "middle: noise_trace_key.",
    proof=proof,
    requires=(),
    controls=(
        Control("$W_K$ truncated instead", measure=lambda case: np.add(*truncated_traces(case, "key"))),
        Control("columns cut instead of singular values", measure=_columns_cut),
        Control("trace off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
)
