"""One-layer optima under anisotropic inputs."""

from dataclasses import replace

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import DIM, TRAINING_SHOTS, Case
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.tasks.linear_regression import LinearRegression


def anisotropic_optima(factory: CaseFactory) -> list[Case]:
    """The exact optimum under anisotropic inputs: eigenvalues from 1 down to about 1/30 in random directions."""
    result = []
    for case in factory.random(1):
        rng = np.random.default_rng(case.seed)
        directions = np.linalg.qr(rng.standard_normal((DIM, DIM)))[0]
        spectrum = 2.0 ** -(np.arange(DIM) + rng.uniform(0, 0.5, DIM))
        task = LinearRegression(DIM, (directions * spectrum) @ directions.T, noise_std=0.5)
        model = one_layer_optimum(task, shots=TRAINING_SHOTS)[0]
        result.append(replace(case, name=f"optimum, {case.name}", kind="constructed", task=task, model=model))
    return result
