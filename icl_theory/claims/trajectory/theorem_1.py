"""Theorem 1 with the index corrected: W_t = Σ_{j≤t} G_j, G_j = ΔW_j (I + W_{j-1}), I + W_t = Π (I + ΔW_s)."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.attention import forward


def _query(case: Case) -> np.ndarray:
    return np.random.default_rng(case.seed).standard_normal(case.model.token_dim)


def measure(case: Case) -> np.ndarray:
    """The query after all layers, token by token; twice, for the sum and for the product."""
    out = forward(case.model, case.demonstrations, _query(case))
    return np.stack([out, out])


def _product(delta: np.ndarray, query: np.ndarray) -> np.ndarray:
    for update in delta:
        query = query + update @ query
    return query


def predict(case: Case) -> np.ndarray:
    """$(I + Σ_j G_j) h_q$ and $(I + ΔW_L) ... (I + ΔW_1) h_q$."""
    path, query = implicit_trajectory(case.model, case.demonstrations), _query(case)
    return np.stack([query + path.gradient.sum(axis=0) @ query, _product(path.delta, query)])


def _without_earlier_map(case: Case) -> np.ndarray:
    path, query = implicit_trajectory(case.model, case.demonstrations), _query(case)
    return np.stack([query + path.delta.sum(axis=0) @ query] * 2)


def _reversed_product(case: Case) -> np.ndarray:
    path, query = implicit_trajectory(case.model, case.demonstrations), _query(case)
    return np.stack([_product(path.delta[::-1], query)] * 2)


def proof(layers: int = 6) -> bool:
    """Telescoping with symbols that do not commute: $I + Σ_j ΔW_j Π_{s<j} (I + ΔW_s) = Π_s (I + ΔW_s)$."""
    product, total = sp.Integer(1), sp.Integer(1)
    for update in sp.symbols(f"delta1:{layers + 1}", commutative=False):
        total += update * product
        product = (1 + update) * product
        if sp.expand(total - product) != 0:
            return False
    return True


CLAIM = Claim(
    source="Y Theorem 1 with the index corrected, App. A.4, arXiv:2406.03768v2",
    statement="$h_q^L = (I + W_L) h_q$ with $W_t = Σ_{j≤t} G_j$, $G_j = ΔW_j (I + W_{j-1})$; and $I + W_t = Π_s (I + "
    "ΔW_s)$.",
    origin="repaired",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The token-by-token forward pass through all layers is compared with the sum and the product form, "
    "both computed from $S$ alone.",
    proof=proof,
    requires=(),
    controls=(
        Control("factor $I + W_{t-1}$ dropped", predict=_without_earlier_map),
        Control("product in the wrong order", predict=_reversed_product),
        Control("result off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
)
