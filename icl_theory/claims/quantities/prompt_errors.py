"""Squared errors of models on common prompts: what the claims about trained populations compare."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.core.estimate import Estimate
from icl_theory.descent.implied_weights import final_weights, quadratic_loss
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.truncation.module_truncation import rank_of_rate, truncate_weights

PROMPTS = 2048
RATES = (0.1, 0.5, 0.75)
"""Clipping rates of Y, ranks 5, 3 and 1 at D = 6; 0.9 and above would leave nothing."""
MODULES: tuple[Module, ...] = ("value", "key", "query", "attention")


@lru_cache(maxsize=128)
def moments(case: Case, shots: int, prompts: int = PROMPTS, salt: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Second moments S and task vectors w of the case's prompts; another `salt` gives independent ones."""
    return case.task.sample_moments(np.random.default_rng([case.seed, salt]), prompts, shots)


def implied(model: Model, stack: np.ndarray) -> np.ndarray:
    """p with ŷ = p · x_q for every S of the stack, shape (prompts, d_x)."""
    return final_weights(checked(model), stack)


def errors(case: Case, model: Model, shots: int, prompts: int = PROMPTS, salt: int = 0) -> np.ndarray:
    """(p - w)ᵀ Λ (p - w), the squared error with the query integrated out, of every prompt."""
    stack, w = moments(case, shots, prompts, salt)
    return quadratic_loss(implied(model, stack), w, case.task.covariance)


def rank_of(case: Case, rate: float) -> int:
    """The rank that a clipping rate keeps."""
    return rank_of_rate(rate, case.model.token_dim, case.model.token_dim)


def clipped(case: Case, layer: int, module: Module, rate: float) -> Model:
    """The model with one module of one layer clipped at a rate of `RATES`; at 0 it is the model itself."""
    if rate == 0:
        return case.model
    return truncate_weights(case.model, layer=layer % case.layers, module=module, rank=rank_of(case, rate))


def mean(values: np.ndarray, unit: str = "squared error") -> Estimate:
    """Mean and standard error of independent values."""
    return Estimate.from_samples(values, unit=unit)


def largest(rows: list[np.ndarray], unit: str) -> Estimate:
    """Of several means the one that stands highest in its own standard errors: the worst for an "at most" 0."""
    return max((mean(row, unit) for row in rows), key=lambda e: e.value / e.stderr if e.stderr else e.value)
