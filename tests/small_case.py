"""A case of one number."""

import numpy as np

from icl_theory import LinearRegression, Model
from icl_theory.claims.engine.cases import Case


def case(value: float, seed: int = 0) -> Case:
    """A model of one number, which is what the claims here measure."""
    one = np.ones((1, 1, 1))
    model = Model(value * one, one, one)
    return Case(f"seed {seed}", "random", seed, model, LinearRegression(1), one[0, 0], one[0])
