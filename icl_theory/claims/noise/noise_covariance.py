"""The noise covariance, against exhaustive enumeration of all subsets of the demonstrations."""

from itertools import combinations
from typing import Any

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.noise.covariance import gradient_noise

_TOKENS, _SHOTS = 6, 2  # 15 subsets


def measure(case: Case, layer: int = 0) -> np.ndarray:
    """Covariance of the mean gradient over every subset of $b = 2$ out of $N = 6$ at the state of all six, first
    layer."""
    w, tokens = case.model, case.demonstrations[:_TOKENS]
    state, moment = np.eye(w.token_dim), tokens.T @ tokens / _TOKENS
    for value, key, query in list(zip(w.value, w.key, w.query, strict=True))[:layer]:
        state = state + value @ state @ moment @ state.T @ key.T @ query @ state
    key_query = w.key[layer].T @ w.query[layer] @ state
    moved = tokens @ state.T
    gradients = np.stack([np.outer(w.value[layer] @ h, h) @ key_query for h in moved]).reshape(_TOKENS, -1)
    means = np.stack([gradients[list(chosen)].mean(axis=0) for chosen in combinations(range(_TOKENS), _SHOTS)])
    centred = means - gradients.mean(axis=0)
    return centred.T @ centred / len(means)


def predict(case: Case) -> np.ndarray:
    """$C_t$ from the factored form."""
    return gradient_noise(case.model, case.demonstrations[:_TOKENS], shots=_SHOTS).dense()


def proof(size: int = 4) -> bool:
    """Exact enumeration with symbols: the variance of every subset mean of $g_1, ..., g_4$, for every $b$.

    One coordinate is enough: a covariance matrix is fixed by the variances of its linear functionals.
    """
    values = sp.symbols(f"g:{size}")
    mean = sum(values) / size
    spread = sum(g**2 for g in values) / size - mean**2
    for shots in range(1, size + 1):
        means = [sum(chosen) / shots for chosen in combinations(values, shots)]
        variance = sum((m - mean) ** 2 for m in means) / len(means)
        factor = sp.Rational(size - shots, shots * (size - 1))
        if sp.expand(variance - factor * spread) != 0:
            return False
    return True


def _last(case: Case, shots: int = _SHOTS) -> np.ndarray:
    tokens = case.demonstrations[:_TOKENS]
    return gradient_noise(case.model, tokens, shots=shots, layer=case.layers - 1).dense()


_LAST: dict[str, Any] = {
    "measure": lambda case: measure(case, case.layers - 1),
    "cases": lambda factory: factory.random(factory.depth),
}
_CORRECTION = (_TOKENS - _SHOTS) / (_TOKENS - 1)

CLAIM = Claim(
    source="Y Assumption 1 and App. C.4, arXiv:2406.03768v2",
    statement="Showing $b$ of $N$ demonstrations has covariance $(N-b)/(b(N-1)) [(1/N) Σ vec g_i vec g_iᵀ - vec G vec "
    "Gᵀ]$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="All 15 subsets of 2 out of 6 demonstrations are enumerated; the factored covariance must match. It "
    "is the covariance at a fixed state $W_{t-1}$: whether all layers may be given noise of their own is fresh_noise.",
    proof=proof,
    requires=(),
    controls=(
        Control("in the last of three layers", **_LAST, predict=_last, tolerance=1e-9, expected=Verdict.HOLDS),
        Control("in the last of three layers, one shot more", **_LAST, predict=lambda c: _last(c, _SHOTS + 1)),
        Control("with replacement (factor $1/b$)", predict=lambda case: predict(case) / _CORRECTION),
        Control("factor $(N-b)/(bN)$", predict=lambda case: predict(case) * (_TOKENS - 1) / _TOKENS),
        Control(
            "one shot more",
            predict=lambda c: gradient_noise(c.model, c.demonstrations[:_TOKENS], shots=_SHOTS + 1).dense(),
        ),
    ),
)
