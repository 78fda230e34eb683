"""Lemma 1: one layer of linear attention acts on the query as I + ΔW."""

import numpy as np
import sympy as sp

from icl_theory.attention import forward, layer_update, second_moment
from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import Case
from icl_theory.weights import AttentionWeights


def first_layer(weights: AttentionWeights) -> AttentionWeights:
    """A one-layer model made of the first layer."""
    return AttentionWeights(weights.value[:1], weights.key[:1], weights.query[:1])


def _queries(case: Case) -> np.ndarray:
    """Two query tokens, with a label slot that is not zero: the lemma does not need the mask."""
    return np.random.default_rng(case.seed).standard_normal((2, case.weights.dimension))


def measure(case: Case) -> np.ndarray:
    """The query after one layer, token by token as the transformer does it."""
    weights = first_layer(case.weights)
    return np.stack([forward(weights, case.demonstrations, query) for query in _queries(case)])


def _predicted(case: Case, update: np.ndarray) -> np.ndarray:
    return _queries(case) @ (np.eye(case.weights.dimension) + update).T


def predict(case: Case) -> np.ndarray:
    """(I + W_V S W_Kᵀ W_Q) h_q."""
    w = case.weights
    return _predicted(case, layer_update(w.value[0], w.key[0], w.query[0], second_moment(case.demonstrations)))


def _without_transpose(case: Case) -> np.ndarray:
    w = case.weights
    return _predicted(case, w.value[0] @ second_moment(case.demonstrations) @ w.key[0] @ w.query[0])


def _factor_off(case: Case) -> np.ndarray:
    w = case.weights
    return _predicted(case, 1.01 * layer_update(w.value[0], w.key[0], w.query[0], second_moment(case.demonstrations)))


def _roles_exchanged(case: Case) -> np.ndarray:
    w = case.weights
    return _predicted(case, layer_update(w.key[0], w.value[0], w.query[0], second_moment(case.demonstrations)))


def proof() -> bool:
    """Symbolically for D = 2, N = 2: the sum over tokens equals the matrix form, entry by entry."""
    v, k, q = (sp.Matrix(2, 2, sp.symbols(f"{name}:4")) for name in "vkq")
    tokens = [sp.Matrix(2, 1, sp.symbols(f"h{i}_:2")) for i in range(2)]
    query = sp.Matrix(2, 1, sp.symbols("x:2"))
    attention = sum(((k * h).dot(q * query) * (v * h) for h in tokens), sp.zeros(2, 1)) / 2
    moment = sum((h * h.T for h in tokens), sp.zeros(2, 2)) / 2
    return sp.expand(attention - v * moment * k.T * q * query) == sp.zeros(2, 1)


CLAIM = Claim(
    label="lemma_1",
    source="Y Lemma 1, App. A.1, arXiv:2406.03768v2",
    statement="One linear-attention layer maps the query to (I + ΔW) h_q with ΔW = W_V S W_Kᵀ W_Q.",
    printed="printed",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The token-by-token forward pass of the first layer is compared with the matrix form. It could fail "
    "through the normalisation (sum or mean) or a transpose.",
    proof=proof,
    controls=(
        Control("transpose of W_K dropped", {"predict": _without_transpose}),
        Control("ΔW off by 1 %", {"predict": _factor_off}),
        Control("W_V and W_K exchanged", {"predict": _roles_exchanged}),
    ),
)
