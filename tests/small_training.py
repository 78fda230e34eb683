"""A training that takes a second."""

from icl_theory.core.numerics import Key
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.train import TrainResult, train


def small(key: Key = 0, **changes: object) -> TrainResult:
    options: dict = {"layers": 2, "shots": 7, "steps": 23, "seeds": 3, "batch": 8} | changes
    return train(LinearRegression(3, noise_std=0.2), key, **options)
