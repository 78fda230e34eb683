"""The repair of Examples 1 and 3 for W_K: in the metric of the update no truncation lets the norm of ΔW grow."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.models.options import Module
from icl_theory.truncation.module_truncation import ModuleTruncations

MODULES: tuple[Module, ...] = ("value", "key", "query", "key_query")


def updates(case: Case, module: Module, *, metric: bool = True) -> list[np.ndarray]:
    """ΔW_r of the first layer on the case's demonstrations at every rank 0, ..., D of one module."""
    tokens = case.demonstrations
    moment = tokens.T @ tokens / len(tokens)
    options = {"inputs": moment, "queries": np.eye(len(moment)), "target": "update"} if metric else {}
    every = ModuleTruncations(case.model, layer=0, module=module, **options)
    return [cut.value[0] @ moment @ cut.key[0].T @ cut.query[0] for cut in every]


def growth(case: Case, metric: bool = True, modules: tuple[Module, ...] = MODULES) -> np.ndarray:
    """$||ΔW_r||_F / ||ΔW_{r+1}||_F$ of every module and rank: above 1 where a norm grows under truncation."""
    norms = np.array([[np.linalg.norm(update) for update in updates(case, m, metric=metric)] for m in modules])
    return norms[:, :-1] / norms[:, 1:]


def excess(case: Case, metric: bool = True) -> np.ndarray:
    """1 + [||ΔW - ΔW_r||_F² - Σ_{i>r} σ_i(ΔW)²] / ||ΔW||_F²: above 1 by what is lost beyond the best of that rank."""
    result = []
    for module in MODULES:
        every = updates(case, module, metric=metric)
        values = np.linalg.svd(every[-1], compute_uv=False)
        tails = [(values[r:] ** 2).sum() for r in range(len(every))]
        lost = [((every[-1] - update) ** 2).sum() for update in every]
        result.append(1 + (np.array(lost) - tails) / tails[0])
    return np.array(result)


CLAIM = Claim(
    source="new; repairs Y Examples 1 and 3 (App. A.6) as statements on the norm, arXiv:2406.03768v2",
    statement="Truncated in the metric of the update, $argmin ||A (W - X) B||_F$ with $A W B = ΔW$, no matrix lets "
    "$||ΔW||_F$ grow, $W_K$ in the middle included.",
    origin="repaired",
    relation="at most",
    measure=growth,
    predict=lambda case: 1.0,
    explanation="$W_V$, $W_K$, $W_Q$ and $W_KᵀW_Q$ of the first layer from rank to rank. Whichever of them is cut, "
    "$ΔW_r$ is the best approximation of rank $r$ of $ΔW$ itself (a control that holds), so that in this metric all "
    "modules are one. By its plain SVD $W_K$ does not do so: truncation_norm_key.",
    requires=(),
    controls=(
        Control(
            "the update of rank r is the best there is, whatever was cut",
            measure=excess,
            expected=Verdict.HOLDS,
        ),
        Control(
            "the same by the plain SVD of each matrix",
            measure=lambda case: excess(case, metric=False),
            predict=lambda case: 1.0001,
        ),
        Control("plain SVD of $W_K$", measure=lambda case: growth(case, metric=False, modules=("key",))),
        Control("a norm smaller by 1 % at the next rank", predict=lambda case: 0.99),
    ),
    cases=lambda factory: [*factory.random(1), *factory.random(factory.depth)],
    tolerance=1e-9,
)
