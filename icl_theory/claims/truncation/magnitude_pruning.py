"""Remark 6, pruning by magnitude: it lowers the norm of the weights, not always that of the implicit update."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.update_norms import first_layer_update, update_norm


def prune(matrix: np.ndarray, share: float) -> np.ndarray:
    """The matrix with the given share of its entries, the smallest in size, set to zero."""
    cut = np.quantile(np.abs(matrix), share)
    return np.where(np.abs(matrix) > cut, matrix, 0.0)


def norm_growth(case: Case) -> np.ndarray:
    """$||ΔW pruned||_F² / ||ΔW||_F²$ for $W_V$, $W_K$, $W_Q$ and several shares."""
    pruned = [
        first_layer_update(case, **{name: prune(getattr(case.model, name)[0], share)})
        for name in ("value", "key", "query")
        for share in (0.1, 0.25, 0.5, 0.75)
    ]
    return np.array([(w**2).sum() for w in pruned]) / update_norm(case)


def weight_growth(case: Case) -> np.ndarray:
    """||W pruned||_F² / ||W||_F², which can only fall."""
    matrices = [getattr(case.model, name)[0] for name in ("value", "key", "query")]
    return np.array([(prune(m, share) ** 2).sum() / (m**2).sum() for m in matrices for share in (0.1, 0.25, 0.5, 0.75)])


def counterexample() -> dict:
    """Tokens e_1, e_2: (2, -1) times W_Q's column (1, 2) is 0, and 2 once the -1 is pruned."""
    return {
        "value": [[2, -1], [0, 0]],
        "key": [[1, 0], [0, 1]],
        "query": [[1, 0], [2, 0]],
        "tokens": [[1, 0], [0, 1]],
        "kept": 1,
    }


def recheck(found: dict) -> bool:
    """||ΔW||_F² grows when only the largest entries of W_V are kept, in exact whole numbers (sum convention)."""
    value, key, query, tokens = (np.array(found[n], dtype=object) for n in ("value", "key", "query", "tokens"))
    sizes = sorted((abs(entry) for entry in value.ravel()), reverse=True)
    if sizes[found["kept"] - 1] == sizes[found["kept"]]:
        return False  # a tie: pruning by magnitude would not know which to cut
    kept = np.array([[e if abs(e) >= sizes[found["kept"] - 1] else 0 for e in row] for row in value], dtype=object)
    before, after = (((v @ (tokens.T @ tokens) @ key.T @ query) ** 2).sum() for v in (value, kept))
    return bool(after > before)


CLAIM = Claim(
    source="Y Remark 6 (pruning), arXiv:2406.03768v2, read as a statement on the implicit update",
    statement="There are weights for which pruning $W_V$, $W_K$ or $W_Q$ by magnitude raises $||ΔW||_F$.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=norm_growth,
    predict=lambda case: 1.0,
    explanation="Shares of 10 to 75 % of the entries of one matrix of the first layer. The weight's own norm falls (a "
    "control); entries that cancelled in $ΔW$ may be cut, so $ΔW$'s need not.",
    requires=(),
    controls=(
        Control("norm of the weights", measure=weight_growth, expected=Verdict.HOLDS),
        Control("norm of the weights, halved at least", measure=weight_growth, predict=lambda case: 0.5),
        Control("norm of the weights, lower by 1 % at least", measure=weight_growth, predict=lambda case: 0.99),
    ),
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
