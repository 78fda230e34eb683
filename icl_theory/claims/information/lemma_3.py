"""Lemma 3: the information of the last output, of the path, and the sum of conditional informations, at D = 1."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.scalar_path import scalar_informations, scalar_layers


def _left(case: Case) -> np.ndarray:
    """$I(W_L; H_s)$ and $I(W_{1:L}; H_s)$ for $L = 2, 3$."""
    found = scalar_informations(case)
    return np.r_[found["last"][1:], found["path"][1:]]


def _right(case: Case, first: int = 0) -> np.ndarray:
    """$I(W_{1:L}; H_s)$ and $Σ_t I(W_t; H_s | W_{t-1})$ for $L = 2, 3$.

    `first`: the term of the chain to begin with, counted from 0.
    """
    found = scalar_informations(case)
    return np.r_[found["path"][1:], found["chain"][first:2].sum(), found["chain"][first:].sum()]


CLAIM = Claim(
    source="Y Lemma 3, arXiv:2406.03768v2 (from Wang and Mao)",
    statement="$I(W_L; H_s) ≤ I(W_{1:L}; H_s) ≤ Σ_t I(W_t; H_s | W_{t-1})$.",
    origin="paper",
    relation="at most",
    measure=_left,
    predict=_right,
    explanation="By quadrature at $D = 1$ for $L = 2$ and 3, demonstrations taking eight values. At $L = 2$ path and "
    "sum are equal, since $W_1$ is all there was before $W_2$; at $L = 3$ the sum is larger, because $W_2$ forgets "
    "what $W_1$ knew.",
    requires=("cases of its own",),
    controls=(
        Control("sum without its first term", predict=lambda case: _right(case, 1)),
        Control("path at most the last output", measure=_right, predict=_left),
        Control("sum 1 % smaller", predict=lambda case: _right(case) * np.r_[1, 1, 0.99, 0.99]),
    ),
    cases=scalar_layers,
    tolerance=1e-6,
)
