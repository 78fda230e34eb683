"""App. A.2, rank: softmax attention over N demonstrations moves queries inside a space of dimension at most N."""

import numpy as np

from icl_theory.attention import forward
from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import Case
from icl_theory.claims.lemma_1 import first_layer
from icl_theory.support import numerical_rank

_FEW, _QUERIES = 3, 8  # fewer demonstrations than the token dimension, more queries than it


def measure(case: Case, count: int = _FEW) -> float:
    """Rank of the moves ĥ_q - h_q of eight random queries, shape (8, D), through the first layer."""
    queries = np.random.default_rng(case.seed).standard_normal((_QUERIES, case.weights.dimension))
    weights, tokens = first_layer(case.weights), case.demonstrations[:count]
    moved = np.stack([forward(weights, tokens, query, kind="softmax") for query in queries])
    return float(numerical_rank(moved - queries))


CLAIM = Claim(
    label="softmax_rank",
    source="Y App. A.2, arXiv:2406.03768v2",
    statement="The softmax update Σ_i W_V h_i ⊗ φ(W_K h_i) has rank at most N.",
    printed="printed",
    relation="at most",
    measure=measure,
    predict=lambda case: float(_FEW),
    trivial=lambda case: float(case.weights.dimension),
    explanation="The features of the exponential kernel are infinitely many, so the update is seen through eight "
    "queries: their moves span at most N = 3 of D = 6 dimensions.",
    controls=(
        Control("bound N - 1", {"predict": lambda case: _FEW - 1.0}),
        Control("all demonstrations, bound 3", {"measure": lambda case: measure(case, len(case.demonstrations))}),
    ),
)
