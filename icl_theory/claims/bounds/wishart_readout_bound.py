"""The true theorem behind bound versus rank: for the forward pass of one layer the bound falls like sqrt(m/N)."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import CLIP, Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.core.estimate import Estimate
from icl_theory.information.forward_pass.bounds import ForwardPassBounds, forward_pass_bounds
from icl_theory.information.forward_pass.single_token import readout_information
from icl_theory.models.options import Module
from icl_theory.truncation.module_truncation import module_rank, truncate_weights

_COUNT = 40


@lru_cache(maxsize=256)
def found(case: Case) -> ForwardPassBounds:
    """Bounds and gap of the forward pass, all 40 demonstrations shown."""
    return forward_pass_bounds(
        case.model,
        case.task,
        demonstrations=_COUNT,
        clip=CLIP,
        samples=4 * case.samples,
        key=case.seed,
        task_vector=case.task_vector,
    )


def bound(case: Case, form: str = "kl_rungs") -> Estimate:
    """The rung in its relative entropy form."""
    return getattr(found(case), form)["wishart_readout"]


def _shrunk(case: Case, factor: float) -> Estimate:
    return Estimate(factor * bound(case).value, factor * bound(case).stderr)


@lru_cache(maxsize=256)
def nats(case: Case, module: Module, rank: int) -> float:
    """I(p; h_1) with one module of the layer at that rank."""
    model = case.model if rank == module_rank(case.model, module) else None
    model = model or truncate_weights(case.model, layer=0, module=module, rank=rank)
    options = {"demonstrations": _COUNT, "clip": CLIP, "samples": 16, "task_vector": case.task_vector}
    return forward_pass_bounds(model, case.task, **options).information["wishart_readout"].value


def ranks(case: Case) -> np.ndarray:
    """Information with W_KᵀW_Q at rank 1, ..., 5 over that of m numbers uncorrelated with the label's."""
    measured = [nats(case, "key_query", rank) for rank in range(1, case.model.token_dim)]
    return np.array(measured) / [readout_information(_COUNT, rank) for rank in range(1, case.model.token_dim)]


def _optimum(factory: CaseFactory) -> list[Case]:
    """The optimum under another w of each case; its P has rank d_x, and truncation cuts it."""
    optimum = factory.constructed(1)[1].model
    return [case.with_model(optimum, "optimum's weights") for case in factory.random(1)]


def _of_value(case: Case) -> np.ndarray:
    """Information with W_V at rank 1 over that at full rank: its label row is all there is."""
    return np.array([nats(case, "value", 1) / nats(case, "value", case.model.token_dim)])


CLAIM = Claim(
    source="new; with Bu, Zou, Veeravalli 2020, arXiv:1901.04609v3",
    statement="For the deterministic forward pass of one layer $gap ≤ c (u - q)$ with $kl(q || u) = I(p; h_1)$, "
    "about $m/(2N)$ for the rank $m$ of $W_KᵀW_Q$ on the tokens, whatever the rank of $W_V$.",
    origin="new",
    relation="at most",
    measure=lambda case: found(case).gap,
    predict=bound,
    trivial=lambda case: CLIP,
    explanation="Random, constructed, trained and truncated one-layer models, $N = 40$. $p$ is a sum of products of "
    "two Gaussians, a variance-gamma law, whose entropies are one integral. The bound falls like $sqrt(m/N)$ when "
    "$W_K$ or $W_Q$ is truncated and not when $W_V$ is (controls at the optimum's weights).",
    requires=("linear regression", "token covariance of full rank"),
    controls=(
        Control(
            "$W_KᵀW_Q$ at rank m: at most a third above m uncorrelated numbers",
            measure=ranks,
            predict=lambda case: 4 / 3,
            trivial=None,
            cases=_optimum,
            expected=Verdict.HOLDS,
        ),
        Control(
            "$W_V$ at rank one: no change",
            measure=_of_value,
            predict=lambda case: 1.0,
            relation="equal",
            trivial=None,
            cases=_optimum,
            tolerance=1e-9,
            expected=Verdict.HOLDS,
        ),
        Control("bound / 8", predict=lambda case: _shrunk(case, 0.125), cases=_optimum),
        Control(
            "bound / 4 on the population risk",
            measure=lambda case: found(case).population_loss,
            predict=lambda case: _shrunk(case, 0.25),
        ),
    ),
    cases=lambda factory: [*factory.random(1), *factory.constructed(1)[1:], *factory.trained(1)],
)
