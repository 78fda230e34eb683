"""Generalization gap of one linear-attention layer for the squared error, in closed form: moments up to the sixth."""

from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.models.checked import checked_linear
from icl_theory.models.model import Model
from icl_theory.risk.one_layer import readout_factors
from icl_theory.tasks.linear_regression import LinearRegression


def one_layer_gap(model: Model, task: LinearRegression, *, shots: int, task_vector: Any) -> Estimate:
    """E[L_μ(W) - L_{H_s}(W)] of one layer with all N demonstrations shown, L the plain squared error.

    With r = e_y - [p; 0] the losses are rᵀ Σ r and rᵀ S r, Σ = E h hᵀ, and p = ± Σ_heads Bᵀ S v is linear in S, so that

        gap = -2 E[e_yᵀ (Σ - S) [p; 0]] + E[[p; 0]ᵀ (Σ - S) [p; 0]]

    takes second and third moments of N S ~ Wishart(Σ, N). For one gradient step p = η S_xy with Λ = I it is

        (2η/N) (Σ_yy d + |w|²) - η² [(2/N)(d+1) |w|² + (σ² d(d+1) + |w|² ((d+1)(d+2) + 2)) / N²].

    The squared error is not bounded, so that no rung of a ladder applies to it: this number says how large a gap is
    without sampling.

    Args:
        model: one layer of linear attention over all demonstrations, any heads, mean normalization, a linear MLP or
            none.
        task: Gaussian inputs and label noise.
        shots: N.
        task_vector: w, shape (d_x,).

    Returns: an exact `Estimate` in units of the squared label.
    Raises: ValueError for several layers, another kind of model, tokens that are not Gaussian, or numbers out of range.
    Source: new.

    Example:
        >>> import numpy as np
        >>> from icl_theory import LinearRegression, gradient_descent_weights, one_layer_gap
        >>> model, task = gradient_descent_weights(2, step_size=0.5), LinearRegression(2, noise_std=0.5)
        >>> print(one_layer_gap(model, task, shots=20, task_vector=np.ones(2)))
        = 0.1566 squared error
    """
    task.require_gaussian_tokens("the exact gap")
    model = checked_linear(model, task.token_dim, "the exact gap")
    if model.layers != 1:
        raise checks.error("model", f"{model.layers} layers", "one layer", "sample with forward_pass_bounds")
    count = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    w = checks.array("task_vector", task_vector, (task.dim,))
    sigma = task.token_covariance(w)
    sign = -1.0 if model.readout == "minus" else 1.0
    size, heads = task.token_dim, []
    for v, b in readout_factors(model):
        lifted = np.zeros((size, size))  # E_x Bᵀ: [p; 0] = ± Σ_heads (E_x Bᵀ) S v
        lifted[:-1] = sign * b.T
        heads.append((v, lifted))
    label = np.eye(size)[-1]
    linear = sum(label @ _first(x, sigma, count) @ v for v, x in heads)
    square = sum(v @ _second(x.T, y, sigma, count) @ other for v, x in heads for other, y in heads)
    return Estimate(float(-2 * linear + square), unit="squared error")


def _first(x: np.ndarray, sigma: np.ndarray, count: int) -> np.ndarray:
    """E[(Σ - S) X S] = -(1/N) (Σ Xᵀ Σ + tr(XΣ) Σ)."""
    return -(sigma @ x.T @ sigma + np.trace(x @ sigma) * sigma) / count


def _pair(x: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """E[h hᵀ X h hᵀ] = Σ (X + Xᵀ) Σ + tr(XΣ) Σ."""
    return sigma @ (x + x.T) @ sigma + np.trace(x @ sigma) * sigma


def _triple(x: np.ndarray, y: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """E[h hᵀ (hᵀXh)(hᵀYh)] by Isserlis, sums over the pairings of six factors."""
    x, y = (x + x.T) / 2, (y + y.T) / 2
    a, b = sigma @ x @ sigma, sigma @ y @ sigma
    tx, ty = np.trace(x @ sigma), np.trace(y @ sigma)
    both = sigma @ x @ b
    return (tx * ty + 2 * np.trace(x @ b)) * sigma + 2 * (tx * b + ty * a) + 4 * (both + both.T)


def _second(x: np.ndarray, y: np.ndarray, sigma: np.ndarray, count: int) -> np.ndarray:
    """E[S X (Σ - S) Y S], the sums over demonstrations split by which of their indices agree."""
    n, z = count, x @ sigma @ y
    product = sigma @ z @ sigma
    twice = (n - 1) / n * product + _pair(z, sigma) / n
    thrice = (n - 1) * (n - 2) * product + _triple(x, y, sigma)
    thrice = thrice + (n - 1) * (_pair(x, sigma) @ y @ sigma + sigma @ x @ _pair(y, sigma) + _pair(z, sigma))
    return twice - thrice / n**2
