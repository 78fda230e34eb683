"""Remark 4 on tr C_t: truncating W_K can raise the noise."""

from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.noise_traces import exact_trace, noise_trace, truncated_traces
from icl_theory.models.options import Module


def trace_growth(case: Case, module: Module) -> np.ndarray:
    """tr C after over tr C before truncation, at every rank."""
    return truncated_traces(case, module)[0] / noise_trace(case)


def counterexample() -> dict[str, Any]:
    """Tokens e_1, e_2, W_K = diag(2, 1): gradients 2 and 1, of variance 1/4; with W_K cut to diag(2, 0) 2 and 0, 1."""
    return {
        "value": [[1, 1], [0, 0]],
        "key": [[2, 0], [0, 1]],
        "query": [[1, 0], [1, 0]],
        "tokens": [[1, 0], [0, 1]],
        "shots": 1,
    }


def recheck(found: dict[str, Any]) -> bool:
    """Whether tr C grows when a diagonal W_K, whose best version of rank D - 1 is exact, loses its smallest entry."""
    key = np.array(found["key"], dtype=object)
    sizes = [abs(entry) for entry in np.diagonal(key)]
    if (key != np.diag(np.diagonal(key))).any() or sorted(sizes)[:1] == sorted(sizes)[1:2]:
        return False
    cut = key.copy()
    smallest = sizes.index(min(sizes))
    cut[smallest, smallest] = 0
    return exact_trace(found, cut) > exact_trace(found, key)


def measure(case: Case) -> np.ndarray:
    """$tr C$ after over $tr C$ before, at every rank of $W_K$."""
    return trace_growth(case, "key")


CLAIM = Claim(
    source="Y Remark 4 (trace of the noise) read for truncation of $W_K$, arXiv:2406.03768v2",
    statement="There are weights and demonstrations for which truncating $W_K$ raises $tr C_t$.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=measure,
    predict=lambda case: 1.0,
    explanation="Every rank of the first layer's $W_K$. It stands between the demonstrations and $W_Q$: a part of it "
    "that makes gradients more alike may be cut. As for the norm (truncation_norm_key).",
    requires=(),
    controls=(
        Control("$W_V$ truncated instead", measure=lambda case: trace_growth(case, "value"), expected=Verdict.HOLDS),
        Control("$W_Q$ truncated instead", measure=lambda case: trace_growth(case, "query"), expected=Verdict.HOLDS),
        *(
            Control(f"{short} truncated, bound lowered by 1 %", measure=m, predict=lambda case: 0.99)
            for short, m in (
                ("$W_V$", lambda case: trace_growth(case, "value")),
                ("$W_Q$", lambda case: trace_growth(case, "query")),
            )
        ),
    ),
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
