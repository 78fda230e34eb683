"""App. B.6, its display: the main part without the noise is not lowered by dropping a layer."""

from fractions import Fraction

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.descent.trajectory import implicit_trajectory


def main_part(case: Case, layers: int, scale: float = 1.0) -> float:
    """Σ_{t ≤ layers} d log(||ΔW_t||_F² ||G_t||_F²), d = D²; `scale` multiplies W_V of the last layer."""
    value = np.array(case.model.value)
    value[-1] = scale * value[-1]
    path = implicit_trajectory(case.model.replace(value=value), case.demonstrations)
    norms = (path.delta**2).sum(axis=(1, 2)) * (path.gradient**2).sum(axis=(1, 2))
    return float(case.model.token_dim**2 * np.log(norms[:layers]).sum())


def dropped(case: Case, scale: float = 1.0) -> float:
    """The sum to $L - 1$."""
    return main_part(case, case.layers - 1, scale)


def kept(case: Case, scale: float = 1.0) -> float:
    """The sum to $L$."""
    return main_part(case, case.layers, scale)


def counterexample() -> dict:
    """Two layers of a 1 x 1 model, token 1, every weight 1/2: the last layer's ||ΔW||² ||G||² is below 1."""
    return {"value": [[1, 2], [1, 2]], "key": [[1, 2], [1, 2]], "query": [[1, 2], [1, 2]], "tokens": [1]}


def recheck(found: dict) -> bool:
    """Whether 0 < ΔW_L² G_L² < 1 in fractions at D = 1: its logarithm, the term that goes, is negative."""
    tokens = [Fraction(h) for h in found["tokens"]]
    moment, m, product = sum(h * h for h in tokens) / len(tokens), Fraction(1), Fraction(0)
    for layer in zip(found["value"], found["key"], found["query"], strict=True):
        value, key, query = (Fraction(*entry) for entry in layer)
        update = value * m * moment * m * key * query
        gradient = update * m
        product, m = update**2 * gradient**2, m + gradient
    return 0 < product < 1


def _deep(factory: CaseFactory) -> list[Case]:
    return factory.deep


CLAIM = Claim(
    source="Y App. B.6 (2), the display with the main part only, arXiv:2406.03768v2",
    statement="Without the last layer the main part $Σ_t d log(||ΔW_t||_F² ||G_t||_F²)$ is smaller.",
    origin="paper",
    relation="at most",
    measure=dropped,
    predict=kept,
    explanation="Exact norms of three-layer models, one term fewer. A logarithm is negative below 1, and these norms "
    "are small: dropping such a layer raises the main part, which has no lower limit. What cannot be negative is the "
    "whole term, with $- log det C_t$: see dropped_layer. A layer dropped earlier changes all later $G_t$ besides "
    "(span_of_change).",
    requires=(),
    controls=(
        Control(
            "last $W_V$ a million times larger",
            measure=lambda case: dropped(case, 1e6),
            predict=lambda case: kept(case, 1e6),
            expected=Verdict.HOLDS,
        ),
        Control(
            "last $W_V$ a million times larger, with and without exchanged",
            measure=lambda case: kept(case, 1e6),
            predict=lambda case: dropped(case, 1e6),
        ),
        Control(
            "last $W_V$ a million times smaller",
            measure=lambda case: dropped(case, 1e-6),
            predict=lambda case: kept(case, 1e-6),
        ),
    ),
    cases=_deep,
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
