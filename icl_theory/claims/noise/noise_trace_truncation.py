"""Remark 4 on tr C_t: truncating W_V or W_Q splits the noise by Pythagoras, so its trace never grows."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.submodels import first_layer
from icl_theory.claims.quantities.symbolic_matrices import norm_excess, rotation
from icl_theory.noise.covariance import gradient_noise, sampling_factor
from icl_theory.truncation.svd import truncate


def trace(case: Case, **replaced: np.ndarray) -> float:
    """$tr C = (N-b)/(b(N-1)) (1/N) Σ ||g_i - G||_F²$ of the first layer.

    `replaced`: matrices in the place of W_V, W_K or W_Q.
    """
    matrices = {name: getattr(case.model, name)[0] for name in ("value", "key", "query")} | replaced
    values = case.demonstrations @ matrices["value"].T
    scores = case.demonstrations @ matrices["key"].T @ matrices["query"]
    gradients = values[:, :, None] * scores[:, None]
    centred = gradients - gradients.mean(axis=0)
    return float(sampling_factor(len(values), case.shots) * (centred**2).sum() / len(values))


def truncated_traces(case: Case, module: str) -> tuple[np.ndarray, np.ndarray]:
    """tr C at every rank r of one module, and with what was cut in its place."""
    full = getattr(case.model, module)[0]
    kept = [truncate(full, rank).matrix for rank in range(len(full) + 1)]
    traces = [(trace(case, **{module: m}), trace(case, **{module: full - m})) for m in kept]
    return np.array([a for a, _ in traces]), np.array([b for _, b in traces])


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
    return trace(case, value=kept) + trace(case, value=full - kept)


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
    controls=(
        Control("$W_K$ truncated instead", measure=lambda case: np.add(*truncated_traces(case, "key"))),
        Control("columns cut instead of singular values", measure=_columns_cut),
        Control("trace off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
)
