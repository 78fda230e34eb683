"""Remark 1, rank: the update has at most the rank of the demonstrations, hence at most N."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.demonstration_ranks import (
    _FEW,
    demonstration_counts,
    demonstration_ranks,
    few_and_repeated,
)
from icl_theory.claims.quantities.numerical_rank import numerical_rank
from icl_theory.descent.trajectory import implicit_trajectory


def measure(case: Case) -> np.ndarray:
    """$rank ΔW_t$ of every layer for both sets of demonstrations, and $rank H_s$ of both."""
    paths = [implicit_trajectory(case.model, tokens).delta for tokens in few_and_repeated(case)]
    updates = [numerical_rank(update) for delta in paths for update in delta]
    return np.array([*updates, *demonstration_ranks(case)], dtype=float)


def predict(case: Case, spare: float = 0.0) -> np.ndarray:
    """$rank H_s$ for every update, $N$ for $rank H_s$."""
    return np.concatenate([np.repeat(demonstration_ranks(case), case.layers) - spare, demonstration_counts(case)])


CLAIM = Claim(
    source="Y Remark 1, arXiv:2406.03768v2",
    statement="$rank ΔW_t ≤ rank H_s ≤ N$.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=predict,
    trivial=lambda case: float(case.model.token_dim),
    explanation="Numerical ranks of every layer's update at $D = 6$, with $N = 3$ demonstrations and with $N = 4$ that "
    "span two dimensions.",
    requires=(),
    controls=(
        Control("bound $rank H_s - 1$", predict=lambda case: predict(case, 1.0)),
        Control(
            "all demonstrations, bound 3",
            measure=lambda c: float(numerical_rank(implicit_trajectory(c.model, c.demonstrations).delta[0])),
            predict=lambda case: float(_FEW),
        ),
    ),
)
