"""What context does to a block is a rank-one change of its MLP: exact for linear and softmax attention, and ReLU."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.submodels import first_layers, query_token, with_mlp
from icl_theory.models.attention import forward

_KEPT = 8
"""Demonstrations that stay; the others become a change of W_in."""


def _attention(case: Case, tokens: np.ndarray) -> np.ndarray:
    """What attention alone adds to the query."""
    plain = case.model.replace(mlp_in=None, mlp_out=None)
    return forward(plain, tokens, query_token(case)) - query_token(case)


def measure(case: Case) -> np.ndarray:
    """The query after a block that sees all demonstrations."""
    return forward(case.model, case.demonstrations, query_token(case))


def predict(case: Case, normalised: bool = True, own: bool = True) -> np.ndarray:
    """The query after a block that sees eight, with $W_in + W_in (a - a') a'ᵀ / |a'|²$ in the place of $W_in$."""
    fewer = case.demonstrations[:_KEPT]
    all_of_them, few = _attention(case, case.demonstrations), _attention(case, fewer)
    reading = few if own else np.roll(few, 1)
    w_in = case.model.mlp_in[0]
    change = np.outer(w_in @ (all_of_them - few), reading)
    change = change / (reading @ reading) if normalised else change
    return forward(case.model.replace(mlp_in=(w_in + change)[None]), fewer, query_token(case))


@lru_cache(maxsize=8)
def _cases(factory: CaseFactory) -> list[Case]:
    result = []
    for case in [*factory.random(1), *(first_layers(c, 1) for c in factory.random(factory.depth)[:2])]:
        block = with_mlp(case)
        for kind in ("linear", "softmax"):
            model = block.model.replace(kind=kind, activation="relu")
            result.append(block.with_model(model, f"{kind}, ReLU"))
        result.append(block.with_model(block.model.replace(kind="softmax", mask="causal"), "causal softmax"))
    return result


CLAIM = Claim(
    source="Dherin et al. 2025, arXiv:2507.16003, for a block whose MLP acts on the attention's output",
    statement="A block that sees the demonstrations $C$ and $Y$ does to a query what it does with $C$ alone and "
    "$W_in + W_in (a - a') a'ᵀ/|a'|²$ in the place of $W_in$, $a$ and $a'$ the attention's outputs, of rank one.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="One block with an MLP of twelve hidden units and ReLU, linear and softmax attention, full and causal: "
    "20 demonstrations against 8 of them and a changed $W_in$. With no demonstration $a' = 0$ in our block, whose MLP "
    "has no skip before it; some context must stay.",
    requires=(),
    controls=(
        Control("not divided by $|a'|²$", predict=lambda case: predict(case, normalised=False)),
        Control("another vector in the place of $a'$", predict=lambda case: predict(case, own=False)),
        Control(
            "no change of $W_in$",
            predict=lambda case: forward(case.model, case.demonstrations[:_KEPT], query_token(case)),
        ),
    ),
    cases=_cases,
    tolerance=1e-9,
)
