"""One-layer optima under anisotropic inputs."""

from dataclasses import replace

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.tasks.linear_regression import LinearRegression


def anisotropic_optima(factory: CaseFactory) -> list[Case]:
    """The exact optimum under anisotropic inputs: eigenvalues from 1 down to about 1/30 in random directions."""
    result = []
    for case in factory.random(1):
        rng = np.random.default_rng(case.seed)
        dim = case.task.dim
        directions = np.linalg.qr(rng.standard_normal((dim, dim)))[0]
        spectrum = 2.0 ** -(np.arange(dim) + rng.uniform(0, 0.5, dim))
        task = LinearRegression(dim, (directions * spectrum) @ directions.T, noise_std=0.5)
        model = one_layer_optimum(task, shots=case.training_shots)[0]
        result.append(replace(case, name=f"optimum, {case.name}", kind="constructed", task=task, model=model))
    return result
