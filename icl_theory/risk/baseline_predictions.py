"""Predictions of least squares and ridge from the demonstrations of a prompt: exactly what a model sees."""

from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import EPS, transpose
from icl_theory.tasks.base import square_root
from icl_theory.tasks.prompt import Prompt


def least_squares_predict(prompt: Prompt) -> np.ndarray:
    """w_ls · x_q with w_ls of least norm among the minimisers of Σ |w·x_i - y_i|²; shape (batch,), or (batch, d_y).

    Args:
        prompt: N demonstrations and a query each.

    Raises: ValueError for wrong shapes or NaN.

    Example:
        >>> import numpy as np
        >>> from icl_theory import LinearRegression, least_squares_predict
        >>> prompt = LinearRegression(3).sample(0, batch=4, shots=10)
        >>> bool(np.allclose(least_squares_predict(prompt), prompt.y_query))
        True
    """
    x, y, x_query = prompt_arrays(prompt)
    return ridge_predictions(x, y, x_query, 0.0)


def ridge_predict(prompt: Prompt, penalty: float, *, prior: Any = None) -> np.ndarray:
    """w_λ · x_q with w_λ = argmin (1/N) Σ (w·x_i - y_i)² + λ wᵀ Π^{-1} w; shape (batch,), or (batch, d_y).

    λ = σ²/N and Π = Ω give the Bayes prediction of `LinearRegression`.

    Args:
        prompt: N demonstrations and a query each.
        penalty: λ > 0.
        prior: Π, (d_x, d_x), may be singular; I if None.

    Raises: ValueError for wrong shapes, NaN or λ ≤ 0.

    Example:
        >>> from icl_theory import LinearRegression, ridge_predict
        >>> prompt = LinearRegression(3, noise_std=0.5).sample(0, batch=4, shots=10)
        >>> ridge_predict(prompt, 0.5**2 / 10).shape
        (4,)
    """
    x, y, x_query = prompt_arrays(prompt)
    penalty = checks.number("penalty", penalty, low=0.0, strict=True, hint="use least_squares_predict")
    root = prior_root(prior, x.shape[2])
    return ridge_predictions(x @ root, y, x_query @ root, penalty)


def pool_predict(prompt: Prompt, pool: Any, noise_std: float) -> np.ndarray:
    """E[w | demonstrations] · x_q for w uniform on a finite pool: the Bayes prediction after pre-training on M tasks.

    w̄ = Σ_k p_k w_k with p_k ∝ exp(-Σ_i (y_i - w_k·x_i)² / (2σ²)): a model that has memorised the pool predicts so, one
    that has learnt to regress predicts like `ridge_predict`.

    Args:
        prompt: N demonstrations and a query each, labels that are numbers.
        pool: w_1, ..., w_M, shape (M, d_x).
        noise_std: σ > 0 of the Gaussian label noise.

    Returns: predictions, shape (batch,).
    Raises: ValueError for wrong shapes, NaN, an empty pool, σ ≤ 0, or labels that are vectors.
    Source: Raventós et al. 2023 (arXiv:2306.15063), who call it the discrete MMSE.

    Example:
        >>> import numpy as np
        >>> from icl_theory import LinearRegression, pool_predict
        >>> prompt = LinearRegression(2).sample(0, batch=3, shots=10)
        >>> other = np.array([[5.0, 5.0]])
        >>> bool(np.allclose(pool_predict(prompt, other, 1.0), prompt.x_query @ other[0]))
        True
    """
    x, y, x_query = prompt_arrays(prompt)
    if y.ndim > 2:
        raise checks.error(
            "prompt.y", "labels that are vectors", "one number as label", "predict each output by itself"
        )
    tasks = checks.array("pool", pool, (None, x.shape[2]), "pass one task vector per row")
    if not len(tasks):
        raise checks.error("pool", "no task", "at least one row", "pass the tasks of the pre-training set")
    sigma = checks.number(
        "noise_std", noise_std, low=0.0, strict=True, hint="as σ → 0 the nearest task is all that counts"
    )
    squares = ((y[:, None] - np.einsum("bnd,md->bmn", x, tasks)) ** 2).sum(-1)
    exponents = -squares / (2 * sigma**2)
    weights = np.exp(exponents - exponents.max(-1, keepdims=True))  # the largest is 1, so that nothing overflows
    return np.einsum("bm,md,bd->b", weights / weights.sum(-1, keepdims=True), tasks, x_query, optimize=True)


def prior_root(prior: Any, dim: int) -> np.ndarray:
    """Π^{1/2} of a checked prior, shape (d_x, d_x); the identity if None."""
    return square_root(checks.covariance("prior", prior, dim))


def prompt_arrays(prompt: Prompt) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (batch, N, d_x), y (batch, N[, d_y]) and x_query (batch, d_x) of a prompt, checked."""
    if not isinstance(prompt, Prompt):
        raise checks.error("prompt", type(prompt).__name__, "a Prompt", "use task.sample or Prompt(x, y, ...)")
    x = checks.array("prompt.x", prompt.x, (None, None, None))
    batch, shots, dim = x.shape
    y = checks.array("prompt.y", prompt.y, (batch, shots, None)[: max(2, np.ndim(prompt.y))])
    return x, y, checks.array("prompt.x_query", prompt.x_query, (batch, dim))


def ridge_predictions(x: np.ndarray, y: np.ndarray, x_query: np.ndarray, penalty: float) -> np.ndarray:
    """x_q · (XᵀX + NλI)^{-1} Xᵀ y by the SVD of X; the pseudoinverse for λ = 0."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    # numpy's convention for the rank, and directions below it carry nothing.
    present = s > s[:, :1] * max(x.shape[1:]) * EPS
    factor = np.divide(s, s**2 + x.shape[1] * penalty, out=np.zeros_like(s), where=present)
    labels = transpose(u) @ (y[..., None] if y.ndim == 2 else y)
    prediction = np.einsum("bic,bij,bj->bc", factor[..., None] * labels, vt, x_query, optimize=True)
    return prediction[:, 0] if y.ndim == 2 else prediction
