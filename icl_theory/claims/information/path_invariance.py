"""Invariance: what the path tells of the demonstrations is a number of (N, b, D, L); no weight and no law enters."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.information.ladder.bound_ladder import bound_ladder
from icl_theory.models.model import Model
from icl_theory.tasks.linear_regression import LinearRegression

_RUNGS = ("path_information", "path_gaussian", "gaussian", "mutual_information")
_SAMPLES = 64


@lru_cache(maxsize=64)
def information(case: Case, shots: int = 0, zero_noise: bool = False) -> np.ndarray:
    """Four rungs in nats on 64 runs of a key that all cases share."""
    task = replace(case.task, noise_std=0.0) if zero_noise else case.task
    ladder = bound_ladder(
        case.model,
        task,
        demonstrations=case.ladder_demonstrations,
        shots=shots or case.ladder_shots,
        clip=4.0,
        samples=_SAMPLES,
        key=11,
        task_vector=case.task_vector,
    )
    return np.array([ladder.information[name].value for name in _RUNGS if name in ladder.information])


@lru_cache(maxsize=8)
def plain(case: Case, layers: int) -> Case:
    """Weights that are all the identity, w = 0, white inputs and label noise 1: tokens are white."""
    size = case.model.token_dim
    stack = np.stack([0.3 * np.eye(size)] * layers)
    task = LinearRegression(size - 1, noise_std=1.0)
    return replace(case, model=Model.create(stack, stack, stack), task=task, task_vector=np.zeros(size - 1))


def predict(case: Case) -> np.ndarray:
    """The same rungs for identity weights and white tokens."""
    return information(plain(case, case.layers))


def _tasks(factory: CaseFactory) -> list[Case]:
    """Random weights under other tasks: label noise from 1e-4 to 3, anisotropic inputs, large and small w."""
    result = []
    for layers in (1, 2):
        for index, case in enumerate(factory.random(factory.depth if layers == 2 else 1)[:3]):
            model = case.model.first_layers(layers)
            spread = np.diag(np.geomspace(1.0, 10.0**index, case.task.dim))
            task = LinearRegression(case.task.dim, covariance=spread, noise_std=(1e-4, 0.5, 3.0)[index])
            other = replace(case, model=model, task=task, task_vector=10.0 ** (1 - index) * case.task_vector)
            result.append(replace(other, name=f"{case.name}, {layers} layers, noise {task.noise_std:g}"))
    return result


CLAIM = Claim(
    source="new; on Y Theorem 2, arXiv:2406.03768v2",
    statement="For Gaussian tokens and invertible weights $I(W_{1:L}; H_s)$ and the Gaussian rungs depend on "
    "$(N, b, D, L)$ alone: they are the same for every $σ > 0$, $w$, $Λ$ and all weights.",
    origin="new",
    relation="equal",
    measure=information,
    predict=predict,
    explanation="Random weights under anisotropic inputs, with label noise from 1e-4 to 3, against identity weights "
    "and white tokens, on common draws: equal in all digits. No pre-training, task or noise level can enter, the "
    "deepest objection to Theorem 2 as an explanation of pruning; at $σ = 0$ the tokens lose a dimension and the "
    "number jumps (a control).",
    controls=(
        Control("two shots more", measure=lambda case: information(case, case.ladder_shots + 2)),
        Control("$σ = 0$", measure=lambda case: information(case, zero_noise=True)),
        Control("one layer more", predict=lambda case: information(plain(case, case.layers + 1))),
    ),
    cases=_tasks,
    tolerance=1e-8,
)
