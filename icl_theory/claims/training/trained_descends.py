"""The gradient-descent view of a trained layer: its sensitivity points where one step of gradient descent points."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.core.estimate import Estimate
from icl_theory.descent.agreement import gradient_descent_agreement
from icl_theory.models.constructions import random_weights

COSINE = 0.998


def cosine(case: Case) -> Estimate:
    """Mean over prompts of $p·w_gd / (|p| |w_gd|)$, the step size fitted on other prompts."""
    agreement = gradient_descent_agreement(case.model, case.task, shots=case.training_shots, prompts=256, key=case.seed)
    return agreement.final.sensitivity_cosine


def _random(case: Case) -> Estimate:
    return cosine(case.with_model(random_weights(case.seed, layers=1, token_dim=case.model.token_dim), "random"))


def _one_input_flipped(case: Case) -> Estimate:
    query = np.array(case.model.query)
    query[..., 0] = -query[..., 0]
    return cosine(case.with_model(case.model.replace(query=query), "first input flipped"))


CLAIM = Claim(
    source="von Oswald et al. 2023, Section 3, arXiv:2212.07677v2; Y Section 3.1",
    statement=f"The sensitivity $∂ŷ/∂x_q$ of a trained layer has a cosine of at least {COSINE} with one gradient step.",
    origin="new",
    relation="at least",
    measure=cosine,
    predict=lambda case: COSINE,
    explanation="One step from $w = 0$ on the same demonstrations, the step size fitted on one set of prompts and the "
    "cosine scored on another. Three trained layers are not three plain steps: a control.",
    controls=(
        Control("random weights", measure=_random),
        Control("first input flipped", measure=_one_input_flipped),
        Control("three layers against three plain steps", cases=lambda factory: factory.trained(factory.depth)),
    ),
    cases=lambda factory: factory.trained(1),
)
