"""Informations along three scalar layers, by quadrature."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.models.model import Model
from icl_theory.noise.covariance import sampling_factor
from icl_theory.tasks.linear_regression import LinearRegression

ATOMS, N, SHOTS, WEIGHT = 8, 12, 3, 0.03  # equally likely demonstration sets, their size, b, and W_V (W_K = W_Q = 1)


_STEP, _REACH = 0.5, 6.5  # of the grids, in units of the smallest and of the largest standard deviation


def _atoms(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S and the standard deviation of a noisy observation of it, for every set H of demonstrations; each (sets,)."""
    squares = tokens.reshape(-1, N) ** 2
    return squares.mean(axis=1), np.sqrt(sampling_factor(N, SHOTS) * squares.var(axis=1))


def _information(density: np.ndarray, cell: np.ndarray | float) -> float:
    """E KL(p(x | a) || p(x)) over equally likely atoms a, density (..., atoms) on a grid of the given cell sizes."""
    marginal = density.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(density > 0, density * np.log(density / marginal), 0.0)
    return float((terms.mean(axis=-1) * cell).sum())


def _conditional(joint: np.ndarray, observation: np.ndarray, cell: np.ndarray | float, step: float) -> float:
    """I(x; H | state) from p(state | a) (states, atoms) and p(x | a) (observations, atoms), by Bayes' rule."""
    total = joint.sum(axis=1, keepdims=True)
    posterior = np.divide(joint, total, out=np.zeros_like(joint), where=total > 0)
    mixture = posterior @ observation.T  # (states, observations)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Minus the entropy of an observation.
        own = np.where(observation > 0, observation * np.log(observation), 0.0).sum(axis=0) * step
        mixed = np.where(mixture > 0, mixture * np.log(mixture), 0.0).sum(axis=1) * step
    return float((total[:, 0] / ATOMS * (posterior @ own - mixed) * cell).sum())


def scalar_informations(case: Case) -> dict[str, np.ndarray]:
    """What `_informations` says of the case's demonstrations."""
    return _informations(case.demonstrations.tobytes())


@lru_cache(maxsize=64)
def _informations(demonstrations: bytes) -> dict[str, np.ndarray]:
    """`last`: I(W_L; H), `path`: I(W_{1:L}; H) at L = 1, 2, 3, `chain`: I(W_t; H | W_{t-1}) at t = 1, 2, 3; nats.

    `alone` is I(x_2; H), a second observation without the first.

    By quadrature on grids, the demonstrations taking finitely many values. W_t = W_{t-1} + c (1 + W_{t-1})³ x_t with
    observations x_t ~ N(S, C) that are independent given H, and c = W_V W_K W_Q.
    """
    means, deviations = _atoms(np.frombuffer(demonstrations))
    low, high = (means - _REACH * deviations).min(), (means + _REACH * deviations).max()
    grid = np.arange(low, high, _STEP * deviations.min())
    step = float(grid[1] - grid[0])

    def observed(x: np.ndarray) -> np.ndarray:
        z = (x[..., None] - means) / deviations
        return np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * deviations)

    observation = observed(grid)
    pair = observation[:, None] * observation[None]
    one, two = _information(observation, step), _information(pair, step**2)
    three = sum(_information(first * pair, step**3) for first in observation[:, None, None, :])
    second, w_2 = _output(WEIGHT * grid, observation / WEIGHT, WEIGHT * step, grid, observed)
    third, w_3 = _output(w_2, second, float(w_2[1] - w_2[0]), grid, observed)
    cells = float(w_2[1] - w_2[0]), float(w_3[1] - w_3[0])
    chain = one, _conditional(observation, observation, step, step), _conditional(second, observation, cells[0], step)
    last = one, _information(second, cells[0]), _information(third, cells[1])
    alone = np.array(_information(pair.sum(axis=0) * step, step))
    return {"alone": alone, "last": np.array(last), "path": np.array([one, two, three]), "chain": np.array(chain)}


def _output(
    states: np.ndarray, density: np.ndarray, cell: float, grid: np.ndarray, observed: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """p(W_t | a) on a new grid from p(W_{t-1} | a) on `states`: ∫ p(w | a) p(x_t | a) / |c (1 + w)³| dw."""
    slope = WEIGHT * (1 + states) ** 3
    kept = density.max(axis=1) > 1e-13 * density.max()
    reach = states[kept, None] + slope[kept, None] * grid[[0, -1]]
    step = (grid[1] - grid[0]) * np.abs(slope[kept]).min()
    new = np.arange(reach.min(), reach.max(), step)
    observations = (new[None] - states[kept, None]) / slope[kept, None]
    transition = observed(observations) / np.abs(slope[kept, None, None])
    return np.einsum("sa,swa->wa", density[kept], transition) * cell, new


def scalar_layers(factory: CaseFactory) -> list[Case]:
    """Three one-dimensional layers and eight sets of demonstrations, per seed."""
    one, task = np.ones((3, 1, 1)), LinearRegression(1)
    model, found = Model(WEIGHT * one, one, one), []
    for seed in range(4):
        rng = np.random.default_rng([factory.seed, 7, seed])
        drawn = rng.standard_normal((40 * ATOMS, N, 1))
        # Sets of similar noise, which coarse grids resolve; the lemma holds for demonstrations of any law.
        even = np.abs(np.log(_atoms(drawn)[1] / 0.7)) < 0.35
        tokens = drawn[even][:ATOMS].reshape(ATOMS * N, 1)
        found.append(Case(f"D = 1, L = 3, seed {seed}", "constructed", seed, model, task, np.zeros(1), tokens, SHOTS))
    return found
