"""Laws of users for the tests: skewed ones, with atoms or without, with their moments by hand."""

from dataclasses import dataclass

import numpy as np

from icl_theory.tasks.laws import UnitLaw


@dataclass(frozen=True)
class Coin(UnitLaw):
    """u = sqrt((1-p)/p) with probability p, else -sqrt(p/(1-p)): mean 0, variance 1, skewed unless p = 1/2."""

    p: float

    @property
    def values(self) -> np.ndarray:
        return np.array([np.sqrt((1 - self.p) / self.p), -np.sqrt(self.p / (1 - self.p))])

    @property
    def fourth_moment(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        return (1 - self.p) ** 2 / self.p + self.p**2 / (1 - self.p)

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.where(rng.random(shape) < self.p, *self.values)


@dataclass(frozen=True)
class Waiting(UnitLaw):
    """u = t - 1 with t exponential: E u³ = 2, E u⁴ = 9; all moments, no density at -1 and below."""

    fourth_moment = 9.0
    finite_moments = np.inf
    continuous = True

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.exponential(size=shape) - 1


class Silent:
    """A normal law that says nothing of itself, and inherits nothing."""

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.standard_normal(shape)
