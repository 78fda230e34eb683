"""Lemma 1: one layer of linear attention acts on the query as I + ΔW."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.submodels import first_layer
from icl_theory.models.attention import forward, layer_update, second_moment

_CONVENTIONS = ("mean", "sum")


def _queries(case: Case) -> np.ndarray:
    """Two query tokens, with a label slot that is not zero: the lemma does not need the mask."""
    return np.random.default_rng(case.seed).standard_normal((2, case.model.token_dim))


def measure(case: Case) -> np.ndarray:
    """The query after one layer, token by token as the transformer does it, in both conventions."""
    model = first_layer(case.model)
    return np.stack(
        [
            forward(model.replace(normalization=convention), case.demonstrations, query)
            for convention in _CONVENTIONS
            for query in _queries(case)
        ]
    )


def predict(case: Case, *, factor: float = 1.0, transposed: bool = True, exchanged: bool = False) -> np.ndarray:
    """$(I + W_V S W_Kᵀ W_Q) h_q$ with $S$ the mean and the sum of $h hᵀ$."""
    w = case.model
    value, key = (w.key[0], w.value[0]) if exchanged else (w.value[0], w.key[0])
    key = key if transposed else key.T
    moments = [second_moment(case.demonstrations, convention) for convention in _CONVENTIONS]
    maps = [np.eye(w.token_dim) + factor * layer_update(value, key, w.query[0], moment) for moment in moments]
    return np.vstack([_queries(case) @ m.T for m in maps])


def proof() -> bool:
    """Symbolically for $D = 2$, $N = 2$: the sum over tokens equals the matrix form, entry by entry."""
    v, k, q = (sp.Matrix(2, 2, sp.symbols(f"{name}:4")) for name in "vkq")
    tokens = [sp.Matrix(2, 1, sp.symbols(f"h{i}_:2")) for i in range(2)]
    query = sp.Matrix(2, 1, sp.symbols("x:2"))
    attention = sum(((k * h).dot(q * query) * (v * h) for h in tokens), sp.zeros(2, 1)) / 2
    moment = sum((h * h.T for h in tokens), sp.zeros(2, 2)) / 2
    return sp.expand(attention - v * moment * k.T * q * query) == sp.zeros(2, 1)


CLAIM = Claim(
    source="Y Lemma 1, App. A.1, arXiv:2406.03768v2",
    statement="One linear-attention layer maps the query to $(I + ΔW) h_q$ with $ΔW = W_V S W_Kᵀ W_Q$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The token-by-token forward pass of the first layer is compared with the matrix form, with $S$ a mean "
    "over the demonstrations and, as in the paper, a sum. It could fail through the normalisation or a transpose.",
    proof=proof,
    requires=(),
    controls=(
        Control("transpose of $W_K$ dropped", predict=lambda case: predict(case, transposed=False)),
        Control("$ΔW$ off by 1 %", predict=lambda case: predict(case, factor=1.01)),
        Control("$W_V$ and $W_K$ exchanged", predict=lambda case: predict(case, exchanged=True)),
    ),
)
