"""Theorem 1 as printed: its second display sums G_t, not G_j, over the layers j."""

from fractions import Fraction

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.descent.trajectory import implicit_trajectory


def measure(case: Case) -> np.ndarray:
    """$W_1, ..., W_L$, each relative to the size of the last."""
    return implicit_trajectory(case.model, case.demonstrations).accumulated[1:]


def predict(case: Case) -> np.ndarray:
    """$t$ copies of $G_t$, which is what the display says when read letter by letter."""
    gradient = implicit_trajectory(case.model, case.demonstrations).gradient
    return np.arange(1, case.layers + 1)[:, None, None] * gradient


def _summed(case: Case) -> np.ndarray:
    return np.cumsum(implicit_trajectory(case.model, case.demonstrations).gradient, axis=0)


def _last(case: Case) -> np.ndarray:
    return implicit_trajectory(case.model, case.demonstrations).gradient


def counterexample() -> dict:
    """Two layers of a 1 x 1 model with every weight and token 1: W_2 = 9 against 2 G_2 = 16."""
    return {"value": [1, 1], "key": [1, 1], "query": [1, 1], "tokens": [1]}


def recheck(found: dict) -> bool:
    """W_L ≠ L G_L for a model of dimension one, in fractions."""
    tokens = [Fraction(h) for h in found["tokens"]]
    moment, w, gradient = sum(h * h for h in tokens) / len(tokens), Fraction(0), Fraction(0)
    layers = list(zip(found["value"], found["key"], found["query"], strict=True))
    for value, key, query in layers:
        m = 1 + w
        gradient = Fraction(value) * m * moment * m * Fraction(key) * Fraction(query) * m
        w += gradient
    return w != len(layers) * gradient


CLAIM = Claim(
    source="Y Theorem 1, second display, App. A.4, arXiv:2406.03768v2",
    statement="$W_t$ is the sum over $j = 1..t$ of $G_t$ (the index printed under the sum is $j$, the summand carries "
    "$t$).",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Read literally the sum is $t$ copies of $G_t$. That is right at $L = 1$ and wrong from the second "
    "layer on.",
    requires=(),
    controls=(
        Control("summand corrected to $G_j$", predict=_summed, expected=Verdict.HOLDS),
        Control("one layer only", cases=lambda factory: factory.one_layer, expected=Verdict.HOLDS),
        Control("corrected sum off by 1 %", predict=lambda case: 1.01 * _summed(case)),
        Control("the last increment alone", predict=_last),
    ),
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
