"""Example 4: truncating the MLP, which multiplies ΔW from the left, never raises the norm; W_in alone may."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.submodels import with_mlp
from icl_theory.claims.quantities.symbolic_matrices import norm_excess, rotation
from icl_theory.claims.quantities.update_norms import first_layer_update
from icl_theory.truncation.svd import truncate


def _matrices(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W_out, W_in and ΔW of the first layer."""
    model = with_mlp(case).model
    return model.mlp_out[0], model.mlp_in[0], first_layer_update(case)


def _sum(kept: np.ndarray, whole: np.ndarray) -> float:
    """||kept||_F² + ||whole - kept||_F²."""
    return float((kept**2).sum() + ((whole - kept) ** 2).sum())


def measure(case: Case) -> np.ndarray:
    """Kept plus dropped part at every rank: of the product $W_out W_in$, and of $W_out$ alone."""
    outer, inner, delta = _matrices(case)
    whole, ranks = outer @ inner @ delta, range(len(outer) + 1)
    folded = [_sum(truncate(outer @ inner, rank).matrix @ delta, whole) for rank in ranks]
    alone = [_sum(truncate(outer, rank).matrix @ inner @ delta, whole) for rank in ranks]
    return np.array([*folded, *alone])


def predict(case: Case) -> float:
    """$||W_out W_in ΔW||_F²$."""
    outer, inner, delta = _matrices(case)
    return float(((outer @ inner @ delta) ** 2).sum())


def _inner_alone(case: Case) -> np.ndarray:
    outer, inner, delta = _matrices(case)
    return np.array([_sum(outer @ truncate(inner, r).matrix @ delta, outer @ inner @ delta) for r in (1, 3, 5)])


def _value_below(case: Case) -> np.ndarray:
    """W_V truncated, which under an MLP stands in the middle."""
    outer, inner, delta = _matrices(case)
    value = case.model.value[0]
    kept = [outer @ inner @ first_layer_update(case, value=truncate(value, r).matrix) for r in (1, 3, 5)]
    return np.array([_sum(matrix, outer @ inner @ delta) for matrix in kept])


def proof() -> bool:
    """$D = 2$ with symbols: $U diag(s, t) Vᵀ$, cut to $U diag(s, 0) Vᵀ$, times anything that stands to its right."""
    s, t = sp.symbols("s t", positive=True)
    left, right, x = rotation("p"), rotation("q"), sp.Matrix(2, 2, sp.symbols("x:4"))
    return norm_excess(left * sp.diag(s, 0) * right.T * x, left * sp.diag(0, t) * right.T * x) == 0


CLAIM = Claim(
    source="Y Example 4, App. A.6, arXiv:2406.03768v2; as an identity new",
    statement="$||ΔW''||_F² = ||ΔW''_r||_F² + ||ΔW'' - ΔW''_r||_F²$ when $W_out W_in$, or $W_out$ alone, is truncated.",
    origin="repaired",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="$ΔW'' = W_out W_in ΔW$ with a random linear MLP, at every rank. What stands leftmost obeys "
    "Pythagoras; $W_in$ alone does not, and neither does $W_V$ once an MLP stands to its left (controls).",
    proof=proof,
    controls=(
        Control("$W_in$ alone truncated", measure=_inner_alone),
        Control("$W_V$ below an MLP truncated", measure=_value_below),
        Control("norm off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
)
