"""The clipped squared error of the query readout: bounded, hence sub-Gaussian, with a closed-form population risk."""

import numpy as np
from scipy.special import erfc, gammainc

from icl_theory.tasks import LinearRegression


def clipped_second_moment(variance: np.ndarray, clip: float) -> np.ndarray:
    """E min(r², c) for r ~ N(0, v): v P(3/2, c / 2v) + c erfc(sqrt(c / 2v)), P the regularised incomplete gamma.

    E[z²; |z| < k] = P(3/2, k²/2) is the distribution function of χ² with three degrees of freedom. Written with the
    normal density it would be a difference of nearly equal numbers for v far above c.
    """
    variance = np.asarray(variance, dtype=np.float64)
    half = clip / (2 * np.where(variance > 0, variance, 1.0))
    return np.where(variance > 0, variance * gammainc(1.5, half) + clip * erfc(np.sqrt(half)), 0.0)


def population_loss(p: np.ndarray, task: LinearRegression, task_vector: np.ndarray, clip: float) -> np.ndarray:
    """E_{(x,y)} min((p·x - y)², c) for implied weights p (K, d_x) on a fresh token of the task; shape (K,).

    y carries the label noise, as the demonstrations do: y - p·x ~ N(0, (w-p)ᵀ Λ (w-p) + σ²).
    """
    error = task_vector - p
    variance = np.einsum("kd,de,ke->k", error, task.covariance, error) + task.noise_std**2
    return clipped_second_moment(variance, clip)


def empirical_loss(p: np.ndarray, tokens: np.ndarray, clip: float) -> np.ndarray:
    """(1/N) Σ_i min((p·x_i - y_i)², c) for implied weights p (K, d_x) and tokens (K, N, D); shape (K,)."""
    residual = np.einsum("knd,kd->kn", tokens[..., :-1], p) - tokens[..., -1]
    return np.minimum(residual**2, clip).mean(axis=1)
