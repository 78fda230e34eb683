"""Remark 6, shots: how far truncation moves the implicit update with N demonstrations and with fewer."""

from itertools import product

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.truncation.svd import truncate

_POPULATION, _MANY, _FEW = 4, 4, 2  # tokens to draw from with replacement, N and N'
_NAMES = ("value", "key", "query")


def _cut_parts(case: Case) -> list[np.ndarray]:
    """What one token adds to ΔW - ΔW_r, (population, D, D), for every module and every rank below D."""
    w, tokens = {name: getattr(case.model, name)[0] for name in _NAMES}, case.demonstrations[:_POPULATION]
    result = []
    for name in _NAMES:
        for rank in range(case.model.token_dim):
            m = w | {name: w[name] - truncate(w[name], rank).matrix}
            result.append((tokens @ m["value"].T)[:, :, None] * (tokens @ m["key"].T @ m["query"])[:, None])
    return result


def moves(case: Case, shots: int, normalization: str = "sum") -> np.ndarray:
    """E ||ΔW(N) - ΔW_r(N)||_F² over all ways to draw N tokens, enumerated, for every module and rank."""
    draws = np.array(list(product(range(_POPULATION), repeat=shots)))
    counts = (draws[:, :, None] == np.arange(_POPULATION)).sum(axis=1)
    scale = 1.0 if normalization == "sum" else 1.0 / shots
    totals = [scale * np.einsum("kp,pij->kij", counts, part) for part in _cut_parts(case)]
    return np.array([(total**2).sum(axis=(1, 2)).mean() for total in totals])


def predict(case: Case, power: float = 1.0) -> np.ndarray:
    """$(N/N') E ||ΔW(N') - ΔW_r(N')||_F²$."""
    return (_MANY / _FEW) ** power * moves(case, _FEW)


def proof() -> bool:
    """$E (X_1 + .. + X_N)² = N² μ² + N s$, so that $E$ at $N$ less $(N/N') E$ at $N'$ is $N (N - N') μ² ≥ 0$ for $N ≥
    N'$."""
    many, few, mean, spread = sp.symbols("N M mu s", positive=True)

    def size(count: sp.Expr) -> sp.Expr:
        return count * (mean**2 + spread) + count * (count - 1) * mean**2  # equal pairs, then different ones

    return sp.expand(size(many) - many / few * size(few) - many * (many - few) * mean**2) == 0


def measure(case: Case) -> np.ndarray:
    """$E ||ΔW(4) - ΔW_r(4)||_F²$ over all ways to draw four tokens, for every module and rank."""
    return moves(case, _MANY)


CLAIM = Claim(
    source="Y Remark 6 (ii), the conclusion from $ΔW(N) - ΔW(N')$, read for truncation, arXiv:2406.03768v2",
    statement="In the sum convention $E ||ΔW(N) - ΔW_r(N)||_F² ≥ (N/N') E ||ΔW(N') - ΔW_r(N')||_F²$: more shots, "
    "larger moves under truncation.",
    origin="new",
    relation="at least",
    measure=measure,
    predict=predict,
    explanation="$N = 4$ and $N' = 2$ tokens drawn from four with replacement, all 256 and 16 draws enumerated; $W_V$, "
    "$W_K$ and $W_Q$ of the first layer at every rank. With a mean in place of the sum nothing grows (a control): this "
    "explanation of a faster collapse rests on the convention.",
    proof=proof,
    requires=(),
    controls=(
        Control(
            "mean convention",
            measure=lambda case: moves(case, _MANY, "mean"),
            predict=lambda case: 1.01 * moves(case, _FEW, "mean"),
        ),
        Control("like $(N/N')²$", predict=lambda case: predict(case, 2.0)),
    ),
)
