"""Examples 1 to 4: the paper's "UB" falls when any of W_V, W_K, W_Q is truncated, though ||ΔW|| itself need not."""

import numpy as np

from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import Case
from icl_theory.claims.truncation_norm_key import growth
from icl_theory.claims.upper_bound_printed import upper_bound
from icl_theory.truncation import truncate_weights

_MODULES = ("value", "key", "query", "attention")


def measure(case: Case) -> np.ndarray:
    """UB after truncation over UB before, for every module and rank of the first layer."""
    cut = [
        truncate_weights(case.weights, layer=0, module=module, rank=rank)
        for module in _MODULES
        for rank in range(case.weights.dimension + 1)
    ]
    values = [upper_bound(case.with_weights(weights, "truncated")) for weights in cut]
    return np.array(values) / upper_bound(case)


CLAIM = Claim(
    label="upper_bound_truncation",
    source="Y Examples 1 to 4, App. A.6, arXiv:2406.03768v2",
    statement="UB = Σ_i ||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F² never grows when W_V, W_K, W_Q or all three are cut.",
    printed="printed",
    relation="at most",
    measure=measure,
    predict=lambda case: 1.0,
    explanation="Every module and rank of the first layer. UB is a product of norms, each of which truncation lowers; "
    "whether it bounds ||ΔW||_F² is another claim (upper_bound_printed).",
    controls=(
        Control("the norm itself, W_K truncated", {"measure": lambda case: growth(case, "key")}),
        Control("UB lowered by 1 %", {"predict": lambda case: 0.99}),
    ),
)
