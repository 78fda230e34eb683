"""One-layer models on tasks other than the one they were trained on, and the clipping rates that suit them there.

Rates are chosen on validation prompts; what is reported is the exact population risk, which no choice can flatter.
"""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_settings import DIM
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.quantities import prompt_errors
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.risk.one_layer import one_layer_risk
from icl_theory.tasks.linear_regression import LinearRegression

FEW = 5
"""Demonstrations shown; the models are trained at 20."""
HARD = LinearRegression(DIM, noise_std=2.0)
"""The label noise is four times that of training."""
OTHERS = {
    "training": LinearRegression(DIM, noise_std=0.5),
    "no label noise": LinearRegression(DIM),
    "small inputs": LinearRegression(DIM, 0.5 * np.eye(DIM), noise_std=0.5),
    "anisotropic inputs": LinearRegression(DIM, np.diag([2.0, 1.5, 1.0, 0.4, 0.1]), noise_std=0.5),
}
VALIDATION = 512
RATES = (0.0, *prompt_errors.RATES)


def risk(model: Model, task: LinearRegression, shots: int) -> float:
    """The exact population risk of a one-layer model."""
    return one_layer_risk(model, task, shots)


@lru_cache(maxsize=1024)
def validated(case: Case, task: LinearRegression, shots: int, module: Module, rate: float) -> float:
    """Mean squared error on the validation prompts with one module clipped."""
    stack, w = task.sample_moments(np.random.default_rng([case.seed, shots]), VALIDATION, shots)
    p = prompt_errors.implied(prompt_errors.clipped(case, 0, module, rate), stack)
    return float((((p - w) @ task.covariance) * (p - w)).sum(-1).mean())


def rise(case: Case, task: LinearRegression, shots: int, rate: float, module: Module = "key") -> float:
    """Relative change of the exact risk by clipping at that rate."""
    after, before = (risk(prompt_errors.clipped(case, 0, module, r), task, shots) for r in (rate, 0.0))
    return after / before - 1
