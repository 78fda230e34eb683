"""The population risk of any one-layer model in closed form, against prompts."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate
from icl_theory.descent.implied_weights import quadratic_loss
from icl_theory.risk.population import population_risk

_PROMPTS = 8192
_MANY = 10**9


@lru_cache(maxsize=32)
def measure(case: Case) -> Estimate:
    """Mean of $(p - w)ᵀ Λ (p - w)$ over 8192 prompts, $S$ made of their tokens, the query integrated out."""
    rng = np.random.default_rng(case.seed)
    w = case.task.sample_tasks(rng, _PROMPTS)
    tokens = case.task.sample_tokens(rng, w, case.training_shots)
    stack = np.einsum("kni,knj->kij", tokens, tokens) / case.training_shots
    return prompt_errors.mean(quadratic_loss(prompt_errors.implied(case.model, stack), w, case.task.covariance))


def predict(case: Case, shots: int = 0, readout: str = "minus") -> Estimate:
    """Wishart moments of $S$ given the task, then Gaussian moments of the task: nothing sampled."""
    return population_risk(case.model.replace(readout=readout), case.task, shots=shots or case.training_shots)


def _cases(factory: CaseFactory) -> list[Case]:
    return [*factory.one_layer, *(case for case in factory.truncated if case.layers == 1)]


CLAIM = Claim(
    source="new; from the Wishart moments used for Ahn et al. 2023 Theorem 1, arXiv:2306.00297v2",
    statement="The population risk of a one-layer linear model is $E pᵀΛp - 2 E pᵀΛw + tr Λ$, a polynomial in its "
    "weights, with $E[S A S] = ((N+1)/N) Σ A Σ + (1/N) tr(A Σ) Σ$ in its first term.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Random, constructed, trained and truncated one-layer models: 8192 prompts of twenty demonstrations "
    "against the closed form. So truncation curves of one layer need no sampling.",
    controls=(
        Control("half the demonstrations", predict=lambda case: predict(case, case.training_shots // 2)),
        Control("terms in $1/N$ left out", predict=lambda case: predict(case, _MANY)),
        Control("read with a plus", predict=lambda case: predict(case, readout="plus")),
    ),
    cases=_cases,
)
