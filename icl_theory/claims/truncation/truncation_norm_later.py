"""Norms under truncation in deeper models: later layers change through M, and in no fixed direction."""

from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.options import Module
from icl_theory.truncation.module_truncation import truncate_weights


def norm_growth(case: Case, module: Module, first: int, last: int | None = None) -> np.ndarray:
    """||G_t||_F² after over before truncation of the first layer's module, at every rank, for t = first + 1, ..., last.

    Layers are counted from 0 in the arguments.
    """
    before = _norms(case)
    kept = [
        _norms(case.with_model(truncate_weights(case.model, layer=0, module=module, rank=rank), "cut"))
        for rank in range(1, case.model.token_dim)
    ]
    return np.array(kept)[:, first:last] / before[first:last]


def _norms(case: Case) -> np.ndarray:
    return (implicit_trajectory(case.model, case.demonstrations).gradient ** 2).sum(axis=(1, 2))


def counterexample() -> dict[str, Any]:
    """Tokens e_1, e_2, W_V = diag(2, 1), W_Q = diag(0, -1): M_1 = diag(1, 0), and the identity once the 1 is cut."""
    identity = [[1, 0], [0, 1]]
    return {
        "value": [[[2, 0], [0, 1]], identity],
        "key": [identity, identity],
        "query": [[[0, 0], [0, -1]], identity],
        "tokens": identity,
    }


def recheck(found: dict[str, Any]) -> bool:
    """Whether ||G_L||_F² grows when a diagonal first W_V loses its smallest entry, in exact integers (sum)."""
    value, key, query = (
        [np.array(matrix, dtype=object) for matrix in found[name]] for name in ("value", "key", "query")
    )
    tokens, sizes = np.array(found["tokens"], dtype=object), [abs(entry) for entry in np.diagonal(value[0])]
    if (value[0] != np.diag(np.diagonal(value[0]))).any() or sorted(sizes)[:1] == sorted(sizes)[1:2]:
        return False

    def last(values: list[np.ndarray]) -> Any:
        m = np.array([[int(i == j) for j in range(len(sizes))] for i in range(len(sizes))], dtype=object)
        gradient = 0 * m
        for v, k, q in zip(values, key, query, strict=True):
            gradient = v @ m @ (tokens.T @ tokens) @ m.T @ k.T @ q @ m
            m = m + gradient
        return (gradient**2).sum()

    cut = value[0].copy()
    smallest = sizes.index(min(sizes))
    cut[smallest, smallest] = 0
    return bool(last([cut, *value[1:]]) > last(value))


def measure(case: Case) -> np.ndarray:
    """$||G_t||_F²$ after over before, at every rank of the first layer's $W_V$, for the layers after it."""
    return norm_growth(case, "value", 1)


def _first(case: Case, module: Module = "value") -> np.ndarray:
    return norm_growth(case, module, 0, 1)


CLAIM = Claim(
    source="Y Examples 1 to 4, App. A.6, arXiv:2406.03768v2, read for the layers after the truncated one",
    statement="There are models for which truncating $W_V$ of the first layer raises $||G_t||_F$ of a later layer.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=measure,
    predict=lambda case: 1.0,
    explanation="Every rank below the full one. Of the truncated layer itself the norm cannot grow (a control that "
    "holds, as truncation_norm_value says). Later layers act on tokens moved by $M = I + W_1$, and what made $M$ small "
    "may be cut: the examples speak of one layer.",
    controls=(
        Control("the truncated layer itself", measure=_first, expected=Verdict.HOLDS),
        Control("the truncated layer itself, $W_K$ truncated", measure=lambda case: _first(case, "key")),
        Control("the truncated layer itself, a tenth of the norm at most", measure=_first, predict=lambda case: 0.1),
    ),
    cases=lambda factory: factory.deep,
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
