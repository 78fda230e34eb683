"""Remark 1, rank: N demonstrations give an update of rank at most N."""

import numpy as np

from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import Case
from icl_theory.support import numerical_rank
from icl_theory.trajectory import implicit_trajectory

_FEW = 3  # fewer demonstrations than the token dimension, so that the bound is not trivial


def measure(case: Case) -> np.ndarray:
    """rank ΔW_t for every layer, with three demonstrations."""
    delta = implicit_trajectory(case.weights, case.demonstrations[:_FEW]).delta
    return np.array([numerical_rank(update) for update in delta], dtype=float)


CLAIM = Claim(
    label="update_rank",
    source="Y Remark 1, arXiv:2406.03768v2",
    statement="rank ΔW_t ≤ N.",
    printed="printed",
    relation="at most",
    measure=measure,
    predict=lambda case: float(_FEW),
    trivial=lambda case: float(case.weights.dimension),
    explanation="Numerical ranks of every layer's update with N = 3 demonstrations of dimension D = 6.",
    controls=(
        Control("bound N - 1", {"predict": lambda case: _FEW - 1.0}),
        Control(
            "all demonstrations, bound 3",
            {"measure": lambda c: float(numerical_rank(implicit_trajectory(c.weights, c.demonstrations).delta[0]))},
        ),
    ),
)
