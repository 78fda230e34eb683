"""Examples 1 to 3: the paper's "UB" falls at every step of (*) to (**), though ||ΔW|| itself need not."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.update_norms import norm_growth
from icl_theory.truncation.svd import truncate


def terms(case: Case) -> np.ndarray:
    """||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F² at all ranks of the three matrices: shape (D + 1, D + 1, D + 1, N).

    The outer product has one singular value (footnote 6), the product of the two vectors' lengths.
    """
    w, ranks = case.model, range(case.model.token_dim + 1)
    values, keys = (
        np.array([((case.demonstrations @ truncate(matrix, rank).matrix.T) ** 2).sum(axis=1) for rank in ranks])
        for matrix in (w.value[0], w.key[0])
    )
    queries = np.array([(truncate(w.query[0], rank).matrix ** 2).sum() for rank in ranks])
    return values[:, None, None] * keys[None, :, None] * queries[:, None]


def _steps(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """After and before each step at all ranks: W_V cut, then W_K too, then W_Q too; and W_K or W_Q cut alone."""
    whole = found[-1, -1, -1]
    after = found[:, -1, -1], found[:, :, -1], found, found[-1, :, -1], found[-1, -1]
    before = whole, found[:, -1:, -1], found[:, :, -1:], whole, whole
    after, before = zip(*(np.broadcast_arrays(a, b) for a, b in zip(after, before, strict=True)), strict=True)
    return np.concatenate([part.ravel() for part in after]), np.concatenate([part.ravel() for part in before])


def measure(case: Case) -> np.ndarray:
    """$||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F²$ of every demonstration after each step, at all ranks."""
    return _steps(terms(case))[0]


def predict(case: Case) -> np.ndarray:
    """The same before each step."""
    return _steps(terms(case))[1]


CLAIM = Claim(
    source="Y Example 1 (*) to (**), footnote 6 (last sentence), Example 3, arXiv:2406.03768v2",
    statement="No term of $UB = Σ_i ||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F²$ grows when $W_V$ is cut to a rank $r$, then "
    "$W_K$ to another, then $W_Q$ to a third, or one of them alone.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="All 343 combinations of ranks of the first layer, step by step and demonstration by demonstration. "
    "UB is a product of norms, each of which truncation lowers; whether it bounds $||ΔW||_F²$ is another claim "
    "(upper_bound_printed).",
    requires=(),
    controls=(
        Control(
            "the norm of $ΔW$ itself, $W_K$ truncated",
            measure=lambda case: norm_growth(case, "key"),
            predict=lambda case: 1.0,
        ),
        Control("terms lowered by 1 %", predict=lambda case: 0.99 * predict(case)),
        Control("steps taken back", measure=predict, predict=measure),
    ),
)
