"""Bounded losses of the query readout, hence sub-Gaussian, with closed-form population losses for Gaussian tokens.

A loss in [0, c] is c/2-sub-Gaussian whatever the data (Hoeffding 1963, Lemma 1). The plain squared error of Gaussian
data is not sub-Gaussian for any R: its tail is exponential, and E exp(λ r²) = +inf from λ = 1/(2v) on.
"""

from typing import Any, Literal, get_args

import numpy as np
from scipy.special import erfc, gammainc

from icl_theory.core import checks
from icl_theory.core.numerics import transpose
from icl_theory.descent.implied_weights import implied_weights
from icl_theory.information.ladder.noisy_trajectory import Draws
from icl_theory.information.ladder.relu_path import moved
from icl_theory.information.ladder.setting import Setting
from icl_theory.tasks.base import Task
from icl_theory.tasks.linear_regression import LinearRegression

BoundedLoss = Literal["clipped_squared", "zero_one"]
"""min(|ŷ - y|², c), and the 0-1 loss: for one output of the sign, 1 where ŷ and y have different signs, ½ where ŷ = 0;
for one-hot labels of the class."""


def loss_range(loss: BoundedLoss, clip: float, task: Task) -> float:
    """c with 0 ≤ ℓ ≤ c, so that R = c/2: the clip of the squared error, else 1.

    Raises: ValueError for an unknown loss, a clip that is not positive, or the 0-1 loss of several outputs that are no
        classes.
    """
    if checks.choice("loss", loss, get_args(BoundedLoss)) == "clipped_squared":
        return checks.number("clip", clip, low=0.0, strict=True, hint="clip the loss at a positive value")
    if task.outputs > 1 and not task.classifies:
        got = f"'zero_one' for {task.outputs} outputs that are no classes"
        raise checks.error("loss", got, "'clipped_squared', or a classification", "drop the option")
    return 1.0


def clipped_second_moment(variance: np.ndarray, clip: float) -> np.ndarray:
    """E min(r², c) for r ~ N(0, v): v P(3/2, c / 2v) + c erfc(sqrt(c / 2v)), P the regularised incomplete gamma.

    E[z²; |z| < k] = P(3/2, k²/2) is the distribution function of χ² with three degrees of freedom. Written with the
    normal density it would be a difference of nearly equal numbers for v far above c.
    """
    variance = np.asarray(variance, dtype=np.float64)
    known = (variance > 0) & np.isfinite(variance)  # a variance that overflows clips every error
    inner = np.where(known, variance, 1.0)
    half = clip / inner / 2
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
    predictions = np.einsum("knd,kd->kn", tokens[..., :-1], p)[..., None]
    return losses_of(predictions, tokens[..., -1:], clip, loss).mean(axis=1)


def losses_of(predictions: np.ndarray, labels: np.ndarray, clip: float, loss: BoundedLoss) -> np.ndarray:
    """ℓ for predictions and labels (..., d_y), shape (...).

    With several outputs the squared error is summed over them, and the 0-1 loss asks whether the largest prediction is
    at the class of a one-hot label; k predictions that are equally large count as one in k.
    """
    if loss == "clipped_squared":
        with np.errstate(over="ignore"):
            return np.minimum(((predictions - labels) ** 2).sum(-1), clip)
    if labels.shape[-1] == 1:
        return (0.5 - 0.5 * np.sign(predictions) * np.sign(labels))[..., 0]
    largest = predictions == predictions.max(-1, keepdims=True)
    return 1 - np.take_along_axis(largest, labels.argmax(-1)[..., None], -1)[..., 0] / largest.sum(-1)


def trajectory_losses(
    setting: Setting, accumulated: np.ndarray, draws: Draws, clip: float, loss: BoundedLoss
) -> tuple[np.ndarray, np.ndarray]:
    """Population and empirical loss of every run, shapes (K,), for W_L (K, D, D), or the updates (K, L, D, D) of
    several layers with ReLUs.

    The first in closed form where there is one, otherwise the mean over fresh tokens of the run: unbiased.
    """
    if draws.unseen is None and setting.mlp is None:
        p = implied_weights(accumulated, setting.model.readout)
        task: Any = setting.task
        population = population_loss(p, task, setting.task_vector, clip, loss)
        return population, empirical_loss(p, draws.tokens, clip, loss)
    unseen, seen = (
        losses_of(_predictions(setting, accumulated, tokens), tokens[..., setting.task.dim :], clip, loss).mean(axis=1)
        for tokens in (draws.unseen, draws.tokens)
        if tokens is not None
    )
    return unseen, seen


def _predictions(setting: Setting, accumulated: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """ŷ of every token as a query, its label slots masked; shape (K, N, d_y)."""
    size = setting.task.dim
    x = tokens[..., :size]
    if setting.mlp is None:
        found = x @ transpose(accumulated[:, size:, :size])
    else:
        updates = accumulated if accumulated.ndim == 4 else accumulated[:, None]
        query = np.concatenate([x, np.zeros((*x.shape[:-1], tokens.shape[-1] - size))], axis=-1)
        for layer in range(updates.shape[1]):
            query = moved(query, updates[:, layer], setting.mlp, layer)
        found = query[..., size:]
    return -found if setting.model.readout == "minus" else found
