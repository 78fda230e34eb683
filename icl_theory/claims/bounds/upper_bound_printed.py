"""The printed "UB" of ||ΔW||_F²: without a factor N it is not an upper bound."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.update_norms import summed_update_norm, upper_bound, with_equal_tokens


def _mixed(case: Case) -> float:
    count = len(case.demonstrations)
    return count * upper_bound(case) / count**2


def counterexample() -> dict:
    """Two equal tokens e_1 and W_V = W_K = W_Q the projection on e_1: ΔW = 2 e_1 e_1ᵀ, so 4 against 2."""
    projection = [[1, 0], [0, 0]]
    return {"value": projection, "key": projection, "query": projection, "tokens": [[1, 0], [1, 0]]}


def recheck(found: dict) -> bool:
    """||ΔW||_F² > UB in the sum convention, in Python's exact integers."""
    value, key, query, tokens = (np.array(found[n], dtype=object) for n in ("value", "key", "query", "tokens"))
    update = value @ (tokens.T @ tokens) @ key.T @ query
    bound = sum(((value @ h) ** 2).sum() * ((key @ h) ** 2).sum() for h in tokens) * (query**2).sum()
    return bool((update**2).sum() > bound)


CLAIM = Claim(
    source="Y Example 1 and App. A.6, arXiv:2406.03768v2",
    statement="$||ΔW||_F² ≤ UB = Σ_i ||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F²$ (sum convention).",
    origin="paper",
    relation="at most",
    measure=summed_update_norm,
    predict=upper_bound,
    explanation="$N$ equal tokens give a sum whose squared norm is $N²$ that of one term, while UB adds $N$ terms.",
    requires=(),
    controls=(
        Control("with a factor $N$", predict=lambda c: len(c.demonstrations) * upper_bound(c), expected=Verdict.HOLDS),
        Control("with a factor $N / 100$", predict=lambda c: len(c.demonstrations) / 100 * upper_bound(c)),
        Control("with a factor $N$, UB alone in the mean convention", predict=_mixed),
    ),
    cases=with_equal_tokens,
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
