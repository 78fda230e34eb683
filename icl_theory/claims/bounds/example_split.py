"""Examples 1 to 4, first step: truncation splits the image of every vector into orthogonal parts."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.symbolic_matrices import norm_excess, rotation
from icl_theory.truncation.svd import truncate

_NAMES = ("value", "key", "query")


def measure(case: Case, *, cut_columns: bool = False) -> np.ndarray:
    """$||W_r h||² + ||(W - W_r) h||²$ for every module, rank and demonstration."""
    result = []
    for name in _NAMES:
        matrix = getattr(case.model, name)[0]
        for rank in range(len(matrix) + 1):
            kept = matrix * (np.arange(len(matrix)) < rank) if cut_columns else truncate(matrix, rank).matrix
            images = case.demonstrations @ kept.T, case.demonstrations @ (matrix - kept).T
            result.append((images[0] ** 2).sum(1) + (images[1] ** 2).sum(1))
    return np.stack(result)


def predict(case: Case) -> np.ndarray:
    """$||W h||²$."""
    full = [((case.demonstrations @ getattr(case.model, name)[0].T) ** 2).sum(1) for name in _NAMES]
    return np.repeat(np.stack(full), case.model.token_dim + 1, axis=0)


def proof() -> bool:
    """$D = 2$ with symbols: $W = U diag(s, t) Vᵀ$ cut to $U diag(s, 0) Vᵀ$, applied to any vector $h$."""
    s, t = sp.symbols("s t", positive=True)
    left, right, h = rotation("p"), rotation("q"), sp.Matrix(sp.symbols("h:2"))
    return norm_excess(left * sp.diag(s, 0) * right.T * h, left * sp.diag(0, t) * right.T * h) == 0


CLAIM = Claim(
    source="Y Examples 1 to 4, App. A.6, arXiv:2406.03768v2",
    statement="$||W h||² = ||W_r h||² + ||(W - W_r) h||²$ for the best rank-$r$ approximation $W_r$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="$W_V$, $W_K$ and $W_Q$ of the first layer at every rank, on every demonstration.",
    proof=proof,
    requires=(),
    controls=(
        Control("columns cut instead of singular values", measure=lambda case: measure(case, cut_columns=True)),
        Control("norm off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
)
