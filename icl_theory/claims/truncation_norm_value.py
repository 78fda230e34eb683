"""Norms under truncation of W_V: a Pythagorean identity, so the norm of a single layer's ΔW never grows."""

import numpy as np

from icl_theory.attention import layer_update, second_moment
from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import Case
from icl_theory.truncation import truncate


def update(case: Case, **replaced: np.ndarray) -> np.ndarray:
    """ΔW of the first layer with some of its matrices replaced."""
    matrices = {name: getattr(case.weights, name)[0] for name in ("value", "key", "query")} | replaced
    return layer_update(matrices["value"], matrices["key"], matrices["query"], second_moment(case.demonstrations))


def parts(case: Case, module: str) -> tuple[np.ndarray, np.ndarray]:
    """||ΔW_r||_F² and ||ΔW - ΔW_r||_F² at every rank r when one module is truncated."""
    full = getattr(case.weights, module)[0]
    kept = [update(case, **{module: truncate(full, rank).matrix}) for rank in range(len(full) + 1)]
    norms = np.array([(w**2).sum() for w in kept])
    return norms, np.array([((update(case) - w) ** 2).sum() for w in kept])


def whole(case: Case) -> float:
    """||ΔW||_F²."""
    return float((update(case) ** 2).sum())


def rows_zeroed(case: Case, module: str) -> float:
    """Kept plus dropped part when the first half of W's *columns* is kept instead of its leading singular part."""
    full = getattr(case.weights, module)[0]
    half = full.copy()
    if module == "value":
        half[:, len(full) // 2 :] = 0.0
    else:
        half[len(full) // 2 :] = 0.0
    kept = update(case, **{module: half})
    return float((kept**2).sum() + ((update(case) - kept) ** 2).sum())


CLAIM = Claim(
    label="truncation_norm_value",
    source="Y Examples 1 to 3, App. A.6, arXiv:2406.03768v2; as an identity new",
    statement="||ΔW||_F² = ||ΔW_r||_F² + ||ΔW - ΔW_r||_F² when W_V is truncated: the norm never grows.",
    printed="repaired",
    relation="equal",
    measure=lambda case: np.add(*parts(case, "value")),
    predict=whole,
    explanation="Every rank of the first layer's W_V. The left singular spaces of the kept and dropped part are "
    "orthogonal, and W_V multiplies ΔW from the left; stronger than the paper's triangle inequality.",
    controls=(
        Control("W_K truncated instead", {"measure": lambda case: np.add(*parts(case, "key"))}),
        Control("columns cut instead of singular values", {"measure": lambda case: rows_zeroed(case, "value")}),
        Control("norm off by 1 %", {"predict": lambda case: 1.01 * whole(case)}),
    ),
)
