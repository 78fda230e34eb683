"""Bounded losses of the query readout, hence sub-Gaussian, with closed-form population risks.

A loss in [0, c] is c/2-sub-Gaussian whatever the data (Hoeffding 1963, Lemma 1). The plain squared error of Gaussian
data is not sub-Gaussian for any R: its tail is exponential, and E exp(λ r²) = +inf from λ = 1/(2v) on.
"""

from typing import Literal, get_args

import numpy as np
from scipy.special import erfc, gammainc

from icl_theory.core import checks
from icl_theory.tasks.linear_regression import LinearRegression

BoundedLoss = Literal["clipped_squared", "zero_one"]
"""min((p·x - y)², c), and the 0-1 loss of the sign: 1 where p·x and y have different signs, ½ where p·x = 0."""


def loss_range(loss: BoundedLoss, clip: float) -> float:
    """c with 0 ≤ ℓ ≤ c, so that R = c/2: the clip of the squared error, 1 for the sign. Raises: ValueError."""
    return clip if checks.choice("loss", loss, get_args(BoundedLoss)) == "clipped_squared" else 1.0


def clipped_second_moment(variance: np.ndarray, clip: float) -> np.ndarray:
    """E min(r², c) for r ~ N(0, v): v P(3/2, c / 2v) + c erfc(sqrt(c / 2v)), P the regularised incomplete gamma.

    E[z²; |z| < k] = P(3/2, k²/2) is the distribution function of χ² with three degrees of freedom. Written with the
    normal density it would be a difference of nearly equal numbers for v far above c.
    """
    variance = np.asarray(variance, dtype=np.float64)
    known = (variance > 0) & np.isfinite(variance)  # a variance that overflows clips every error
    inner = np.where(known, variance, 1.0)
    half = clip / (2 * inner)
    value = inner * gammainc(1.5, half) + clip * erfc(np.sqrt(half))
    return np.where(known, value, np.where(variance > 0, clip, 0.0))


def population_loss(
    p: np.ndarray, task: LinearRegression, task_vector: np.ndarray, clip: float, loss: BoundedLoss = "clipped_squared"
) -> np.ndarray:
    """E ℓ for implied weights p (K, d_x) on a fresh token of the task; shape (K,).

    y carries the label noise, as the demonstrations do. Squared: y - p·x ~ N(0, (w-p)ᵀ Λ (w-p) + σ²). Sign: p·x and y
    are jointly normal with correlation ρ, and differ in sign with probability arccos(ρ)/π (Sheppard 1899).
    """
    if loss == "clipped_squared":
        with np.errstate(over="ignore"):
            squares = ((task_vector - p) @ task.input_root) ** 2
        return clipped_second_moment(squares.sum(-1) + task.noise_std**2, clip)
    largest = np.abs(p).max(-1, keepdims=True)
    p = p / np.where(largest > 0, largest, 1.0)  # a sign does not depend on the size, which may overflow in squares
    cross, own = p @ task.covariance @ task_vector, np.einsum("kd,de,ke->k", p, task.covariance, p)
    # The angle from its tangent, by the part of y that p·x does not explain: arccos would lose half the digits near 0.
    rest = task_vector - (cross / np.where(own > 0, own, 1.0))[:, None] * p
    unexplained = np.einsum("kd,de,ke->k", rest, task.covariance, rest) + task.noise_std**2
    angle = np.arctan2(np.sqrt(own * unexplained), cross)
    return np.where((own > 0) & ((unexplained > 0) | (cross != 0)), angle / np.pi, 0.5)


def empirical_loss(p: np.ndarray, tokens: np.ndarray, clip: float, loss: BoundedLoss = "clipped_squared") -> np.ndarray:
    """(1/N) Σ_i ℓ(p·x_i, y_i) for implied weights p (K, d_x) and tokens (K, N, D); shape (K,)."""
    readout, labels = np.einsum("knd,kd->kn", tokens[..., :-1], p), tokens[..., -1]
    if loss == "clipped_squared":
        with np.errstate(over="ignore"):
            return np.minimum((readout - labels) ** 2, clip).mean(axis=1)
    return (0.5 - 0.5 * np.sign(readout) * np.sign(labels)).mean(axis=1)
