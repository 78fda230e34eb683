"""Norms under truncation of W_K: it sits in the middle of ΔW, and the norm can grow."""

import itertools
from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.update_norms import norm_growth


def integer_counterexample() -> dict[str, Any]:
    """The smallest 2 x 2 integer example: W_K = diag(2, 1), whose exact truncation to rank 1 is diag(2, 0).

    Python integers only, so the comparison is exact. Two tokens e_1, e_2 in the sum convention make S = I. Searched
    by the largest entry, then by the sum of the entries' sizes.
    """
    options = sorted(
        itertools.product((-1, 0, 1), repeat=8), key=lambda entries: (sum(map(abs, entries)), entries[::-1])
    )
    for entries in options:
        (v11, v12, v21, v22), (q11, q12, q21, q22) = entries[:4], entries[4:]
        before, after = 0, 0
        for left, right in ((v11, v12), (v21, v22)):
            for top, bottom in ((q11, q21), (q12, q22)):
                before += (2 * left * top + right * bottom) ** 2
                after += (2 * left * top) ** 2
        if after > before:
            return {
                "value": [[v11, v12], [v21, v22]],
                "key": [[2, 0], [0, 1]],
                "query": [[q11, q12], [q21, q22]],
                "tokens": [[1, 0], [0, 1]],
            }
    raise AssertionError("the search space holds a counterexample")


def recheck(found: dict[str, Any]) -> bool:
    """||ΔW_1||_F² > ||ΔW||_F² in exact integers, for a diagonal W_K whose best rank-1 version is then exact too."""
    value, key, query, tokens = (np.array(found[n], dtype=object) for n in ("value", "key", "query", "tokens"))
    diagonal = np.diagonal(key)
    if (key != np.diag(diagonal)).any() or sorted(map(abs, diagonal))[-1] == sorted(map(abs, diagonal))[-2]:
        return False
    cut = np.diag([entry if abs(entry) == max(map(abs, diagonal)) else 0 for entry in diagonal])
    moment = tokens.T @ tokens
    before, after = (((value @ moment @ k.T @ query) ** 2).sum() for k in (key, cut))
    return bool(after > before)


def measure(case: Case) -> np.ndarray:
    """$||ΔW_r||_F² / ||ΔW||_F²$ at every rank $r$ of $W_K$."""
    return norm_growth(case, "key")


CLAIM = Claim(
    source="Y Examples 1 and 3 read as a statement on the norm itself, App. A.6, arXiv:2406.03768v2",
    statement="There are weights and demonstrations for which truncating $W_K$ raises $||ΔW||_F$.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=measure,
    predict=lambda case: 1.0,
    explanation="Every rank of the first layer's $W_K$. Only the paper's bound is shown to shrink; the norm itself "
    "need not, since $W_K$ stands between $S$ and $W_Q$ and parts that cancelled may be cut.",
    requires=(),
    controls=(
        Control("$W_V$ truncated instead", measure=lambda case: norm_growth(case, "value"), expected=Verdict.HOLDS),
        Control("$W_Q$ truncated instead", measure=lambda case: norm_growth(case, "query"), expected=Verdict.HOLDS),
        *(
            Control(f"{short} truncated, bound lowered by 1 %", measure=m, predict=lambda case: 0.99)
            for short, m in (
                ("$W_V$", lambda case: norm_growth(case, "value")),
                ("$W_Q$", lambda case: norm_growth(case, "query")),
            )
        ),
    ),
    exact_counterexample=integer_counterexample,
    verify_exact=recheck,
)
