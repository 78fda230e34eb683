"""App. A.2, rank: the softmax update has at most the rank of the demonstrations, hence at most N."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.demonstration_ranks import demonstration_counts, demonstration_ranks, few_and_repeated
from icl_theory.claims.quantities.numerical_rank import numerical_rank
from icl_theory.claims.quantities.submodels import first_layer
from icl_theory.models.attention import forward

_QUERIES = 8  # more queries than the token dimension


def moved_rank(case: Case, tokens: np.ndarray) -> float:
    """Rank of the moves ĥ_q - h_q of eight random queries, shape (8, D), through the first layer."""
    queries = np.random.default_rng(case.seed).standard_normal((_QUERIES, case.model.token_dim))
    model = first_layer(case.model)
    moved = np.stack([forward(model.replace(kind="softmax"), tokens, query) for query in queries])
    return float(numerical_rank(moved - queries))


def measure(case: Case) -> np.ndarray:
    """Rank of the moves of eight queries for both sets of demonstrations, and $rank H_s$ of both."""
    return np.array([*(moved_rank(case, tokens) for tokens in few_and_repeated(case)), *demonstration_ranks(case)])


def predict(case: Case, spare: float = 0.0) -> np.ndarray:
    """$rank H_s$ for the update, $N$ for $rank H_s$."""
    return np.concatenate([demonstration_ranks(case) - spare, demonstration_counts(case)])


CLAIM = Claim(
    source="Y App. A.2, arXiv:2406.03768v2",
    statement="The softmax update $ΔW' = (1/D') Σ_i W_V h_i ⊗ φ(W_K h_i)$ has $rank ΔW' ≤ rank H_s ≤ N$.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=predict,
    trivial=lambda case: float(case.model.token_dim),
    explanation="The features of the exponential kernel are infinitely many, so the update is seen through eight "
    "queries: their moves span at most three of $D = 6$ dimensions for $N = 3$ demonstrations, and two for $N = 4$ "
    "that span two.",
    requires=(),
    controls=(
        Control("bound $rank H_s - 1$", predict=lambda case: predict(case, 1.0)),
        Control(
            "all demonstrations, bound 3",
            measure=lambda case: moved_rank(case, case.demonstrations),
            predict=lambda case: 3.0,
        ),
    ),
)
