"""Remark 6, shots: in the sum convention further demonstrations add their own terms and change no other."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.descent.trajectory import implicit_trajectory

_SHARE = 0.6  # N' / N


def fewer(case: Case) -> int:
    """N'."""
    return round(_SHARE * len(case.demonstrations))


def measure(case: Case, normalization: str = "sum") -> np.ndarray:
    """$ΔW(N) - ΔW(N')$ of the first layer."""
    full = implicit_trajectory(case.model.replace(normalization=normalization), case.demonstrations)
    less = implicit_trajectory(case.model.replace(normalization=normalization), case.demonstrations[: fewer(case)])
    return full.delta[0] - less.delta[0]


def predict(case: Case, more: int = 0) -> np.ndarray:
    """$Σ_{i > N'} (W_V h_i)(W_K h_i)ᵀ W_Q$."""
    w = case.model
    terms = [np.outer(w.value[0] @ h, w.key[0] @ h) for h in case.demonstrations[fewer(case) + more :]]
    return np.sum(terms, axis=0) @ w.query[0]


CLAIM = Claim(
    source="Y Remark 6 (shots), arXiv:2406.03768v2",
    statement="In the sum convention $ΔW(N) - ΔW(N') = Σ_{i > N'} (W_V h_i)(W_K h_i)ᵀ W_Q$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The first layer with 20 and 12 demonstrations. In the mean convention every term changes.",
    requires=(),
    controls=(
        Control("mean convention", measure=lambda case: measure(case, "mean")),
        Control("one demonstration fewer in the sum", predict=lambda case: predict(case, 1)),
    ),
)
