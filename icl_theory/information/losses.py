"""The clipped squared error of the query readout: bounded, hence sub-Gaussian, with a closed-form population risk."""

import numpy as np
from scipy.special import ndtr

from icl_theory.tasks import LinearRegression


def clipped_second_moment(variance: np.ndarray, clip: float) -> np.ndarray:
    """E min(r², c) for r ~ N(0, v): v [2Φ(k) - 1 - 2kφ(k)] + 2c (1 - Φ(k)) with k = sqrt(c / v)."""
    variance = np.asarray(variance, dtype=np.float64)
    safe = np.where(variance > 0, variance, 1.0)
    k = np.sqrt(clip / safe)
    density = np.exp(-(k**2) / 2) / np.sqrt(2 * np.pi)
    value = safe * (1 - 2 * ndtr(-k) - 2 * k * density) + 2 * clip * ndtr(-k)
    return np.where(variance > 0, value, 0.0)


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
