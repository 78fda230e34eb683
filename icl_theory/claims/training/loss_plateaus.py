"""Training W_K and W_Q from small weights: the loss waits at the best risks of rank 0, 1, 2, ..., in the order of λ."""

from functools import lru_cache

import numpy as np
from scipy.integrate import solve_ivp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.tasks.linear_regression import LinearRegression

_DIM, _START = 3, 1e-5
_APART = 1e-3
"""Of the first loss: what is nearer counts as one plateau."""


def task_of(case: Case) -> LinearRegression:
    """Inputs with variances λ of 1 and about .6 and .36, in random directions."""
    rng = np.random.default_rng(case.seed)
    basis, _ = np.linalg.qr(rng.standard_normal((_DIM, _DIM)))
    spectrum = np.array([1.0, 0.6, 0.36]) * rng.uniform(0.95, 1.05, _DIM)
    return LinearRegression(_DIM, covariance=(basis * spectrum) @ basis.T, noise_std=0.5)


@lru_cache(maxsize=64)
def waits(case: Case) -> np.ndarray:
    """Losses at which the gradient flow of the population risk in (W_K, W_Q) is slowest, from first to last.

    L = tr Λ - 2 tr(P Cᵀ) + tr(Λ P M Pᵀ) with P = W_KᵀW_Q, C and M the moments of the readout; slowest: at the local
    minima of the speed d L/dt over log time, and at both ends.
    """
    task = task_of(case)
    cross, moment = task.readout_moments(case.training_shots)
    lam, size = task.covariance, _DIM
    rng = np.random.default_rng(case.seed + 1)
    start = _START * rng.standard_normal(2 * size * size)

    def gradients(flat: np.ndarray) -> tuple[np.ndarray, float]:
        key, query = flat[: size * size].reshape(size, size), flat[size * size :].reshape(size, size)
        p = key.T @ query
        slope = 2 * (lam @ p @ moment - cross)
        loss = float(task.zero_risk - 2 * np.trace(p @ cross.T) + np.trace(lam @ p @ moment @ p.T))
        return -np.concatenate([(query @ slope.T).ravel(), (key @ slope).ravel()]), loss

    times = np.linspace(0.0, 160.0, 4000)
    path = solve_ivp(lambda _, y: gradients(y)[0], (0.0, times[-1]), start, "LSODA", times, rtol=1e-9, atol=1e-13).y.T
    flow = [gradients(point) for point in path]
    speed = np.array([force @ force for force, _ in flow])
    slow = 1 + np.flatnonzero((speed[1:-1] < speed[:-2]) & (speed[1:-1] < speed[2:]))
    losses = np.array([loss for _, loss in flow])
    found = np.concatenate([losses[:1], losses[slow], losses[-1:]])
    # At both ends the speed is rounding, with minima of its own.
    return found[np.append(True, np.diff(found) < -_APART * found[0])]


def measure(case: Case) -> np.ndarray:
    """Losses at the waits; as many as there are ranks, or a number that no risk is."""
    found = waits(case)
    return found if len(found) == _DIM + 1 else np.full(_DIM + 1, -1.0)


def predict(case: Case) -> np.ndarray:
    """Best population risk of rank 0, ..., d."""
    return np.array([one_layer_optimum(task_of(case), shots=case.training_shots, rank=m)[1] for m in range(_DIM + 1)])


def _smallest_first(case: Case) -> np.ndarray:
    """The directions learnt from the smallest variance up."""
    task = task_of(case)
    spectrum = np.linalg.eigvalsh(task.covariance)
    n = case.training_shots
    gamma = ((n + 1) * spectrum + spectrum.sum() + task.noise_std**2) / n
    return spectrum.sum() - np.append(0.0, np.cumsum(spectrum**2 / gamma))


CLAIM = Claim(
    source="Zhang, Singh, Latham, Saxe 2025, arXiv:2501.16265, separate key and query",
    statement="Gradient flow of the population risk in $W_K$ and $W_Q$ from small weights has plateaus at the best "
    "risks of rank 0, 1, ..., $d$, in the order of the variances $λ_1 ≥ λ_2 ≥ ...$",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The flow is solved for a task with three well separated variances, initial entries of size 1e-5; a "
    "plateau is a local minimum of the gradient's norm. Their losses are compared with the best risks of each rank, "
    "the numbers to which truncation is compared: what a model loses in rank it has learnt last.",
    requires=("cases of its own",),
    controls=(
        Control("the smallest variances first", predict=_smallest_first),
        Control("risks off by 3 %", predict=lambda case: 1.03 * predict(case)),
        Control("one rank later", predict=lambda case: np.append(predict(case)[1:], predict(case)[-1])),
    ),
    cases=lambda factory: factory.random(1),
    tolerance=0.002,
)
