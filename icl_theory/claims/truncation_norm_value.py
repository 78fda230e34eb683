"""Norms under truncation of W_V: a Pythagorean identity, so the norm of a single layer's ΔW never grows."""

import numpy as np
import sympy as sp

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


def rotation(name: str) -> sp.Matrix:
    """A general rotation of the plane with rational entries: cosine (1 - t²)/(1 + t²), sine 2t/(1 + t²)."""
    t = sp.Symbol(name, real=True)
    cosine, sine = (1 - t**2) / (1 + t**2), 2 * t / (1 + t**2)
    return sp.Matrix([[cosine, -sine], [sine, cosine]])


def excess(kept: sp.Matrix, dropped: sp.Matrix) -> sp.Expr:
    """||kept + dropped||_F² - ||kept||_F² - ||dropped||_F², simplified."""
    whole = kept + dropped
    return sp.simplify((whole.T * whole - kept.T * kept - dropped.T * dropped).trace())


def proof() -> bool:
    """D = 2 with symbols: W_V = U diag(s, t) Vᵀ cut to U diag(s, 0) Vᵀ, times any matrix X from the right."""
    s, t = sp.symbols("s t", positive=True)
    left, right, x = rotation("p"), rotation("q"), sp.Matrix(2, 2, sp.symbols("x:4"))
    return excess(left * sp.diag(s, 0) * right.T * x, left * sp.diag(0, t) * right.T * x) == 0


def measure(case: Case) -> np.ndarray:
    """||ΔW_r||_F² + ||ΔW - ΔW_r||_F² at every rank r of W_V."""
    return np.add(*parts(case, "value"))


CLAIM = Claim(
    label="truncation_norm_value",
    source="Y Examples 1 and 3, App. A.6, arXiv:2406.03768v2; as an identity new",
    statement="||ΔW||_F² = ||ΔW_r||_F² + ||ΔW - ΔW_r||_F² when W_V is truncated: the norm never grows.",
    printed="repaired",
    relation="equal",
    measure=measure,
    predict=whole,
    proof=proof,
    explanation="Every rank of the first layer's W_V. The left singular spaces of the kept and dropped part are "
    "orthogonal, and W_V multiplies ΔW from the left; stronger than the paper's triangle inequality.",
    controls=(
        Control("W_K truncated instead", {"measure": lambda case: np.add(*parts(case, "key"))}),
        Control("columns cut instead of singular values", {"measure": lambda case: rows_zeroed(case, "value")}),
        Control("norm off by 1 %", {"predict": lambda case: 1.01 * whole(case)}),
    ),
)
