"""Explicit gradient descent and GD++ on the second moment of the demonstrations, many prompts at once."""

from typing import Any

import numpy as np

from icl_theory._numerics import transpose


def gradient_steps(moments: np.ndarray, matrix: np.ndarray, eta: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """w_1, ..., w_steps and their derivatives in η, both (..., prompts, steps, d_x); η is a number or a grid (...)."""
    eta = np.asarray(eta)[..., None, None]
    hessian, target = matrix @ moments[:, :-1, :-1], (matrix @ moments[:, :-1, -1:])[..., 0]
    w = slope = np.zeros((*eta.shape[:-2], *target.shape))
    path, slopes = [], []
    for _ in range(steps):
        gradient = np.einsum("nij,...nj->...ni", hessian, w) - target
        slope = slope - gradient - eta * np.einsum("nij,...nj->...ni", hessian, slope)
        w = w - eta * gradient
        path.append(w)
        slopes.append(slope)
    return np.stack(path, axis=-2), np.stack(slopes, axis=-2)


def plus_plus_steps(moments: np.ndarray, eta: float, gamma: float, steps: int) -> np.ndarray:
    """Implied weights p_1, ..., p_steps of GD++ (ŷ = p · x_q with the query moved as well), (prompts, steps, d_x).

    Every step lowers the residuals, r_i ← r_i - η c·x_i with c = (1/N) Σ r_i x_i, and moves all inputs, the query's
    too, x ← (I - γ S_xx) x. With γ = 0 it is gradient descent. In moments: c ← A (c - η S c), S ← A S A,
    p ← p + η Tᵀ c, T ← A T, A = I - γ S. Source: von Oswald et al. 2023, Section 3 and App. A.10 (arXiv:2212.07677v2).
    """
    second, cross = moments[:, :-1, :-1], moments[:, :-1, -1:]
    identity = np.eye(second.shape[-1])
    moved, p, path = np.broadcast_to(identity, second.shape), np.zeros_like(cross), []
    for _ in range(steps):
        p = p + eta * transpose(moved) @ cross
        step = identity - gamma * second
        cross = step @ (cross - eta * second @ cross)
        second, moved = step @ second @ step, step @ moved
        path.append(p[..., 0])
    return np.stack(path, axis=-2)
