"""The exact posterior of a sparse w: a mixture over all supports, each of them a small ridge regression."""

import itertools
import math

import numpy as np
from scipy.special import logsumexp

from icl_theory.core import checks
from icl_theory.core.numerics import transpose
from icl_theory.tasks.sparse_regression import SparseLinearRegression

MOST_SUPPORTS = 5000
"""Most supports that are enumerated."""


def supports_of(task: SparseLinearRegression) -> np.ndarray:
    """All supports of s out of d_x entries, shape (C(d_x, s), s). Raises: ValueError where there are too many."""
    count = math.comb(task.dim, task.nonzero)
    if count > MOST_SUPPORTS:
        got, hint = f"{count} supports", "take fewer dimensions or fewer nonzero entries"
        raise checks.error("task for the posterior of w", got, f"at most {MOST_SUPPORTS}", hint)
    return np.array(list(itertools.combinations(range(task.dim), task.nonzero)))


def posterior_mean(task: SparseLinearRegression, moments: np.ndarray, shots: int) -> np.ndarray:
    """E[w | demonstrations] = Σ_A π_A w_A from second moments S (batch, D, D), shape (batch, d_x).

    w_A = (N S_AA + (σ²/τ²) I)^{-1} N S_Ay on the support A with τ² = d_x/s, and
    log π_A = (N S_Ay · w_A) / 2σ² - ½ log det(I + (τ²/σ²) N S_AA) + const. Needs σ > 0.
    """
    supports, variance, noise = supports_of(task), task.dim / task.nonzero, task.noise_std**2
    rows, columns = supports[:, :, None], supports[:, None, :]
    gram = shots * moments[:, rows, columns]  # (batch, supports, s, s)
    cross = shots * moments[:, supports, -1]
    identity = np.eye(task.nonzero)
    means = np.linalg.solve(gram + noise / variance * identity, cross[..., None])[..., 0]
    volume = np.linalg.slogdet(identity + variance / noise * gram)[1]
    log_weight = (cross * means).sum(-1) / (2 * noise) - volume / 2
    weight = np.exp(log_weight - np.asarray(logsumexp(log_weight, axis=1, keepdims=True)))
    result = np.zeros((len(moments), task.dim))
    for index, support in enumerate(supports):
        result[:, support] += weight[:, index, None] * means[:, index]
    return result


def sparse_bayes_losses(
    task: SparseLinearRegression, rng: np.random.Generator, samples: int, shots: int, block_entries: int
) -> np.ndarray:
    """Independent draws of (w̄ - w)ᵀ Λ (w̄ - w) with w̄ the posterior mean, shape (samples,)."""
    width = len(supports_of(task)) * task.nonzero**2 + shots * task.token_dim
    size, losses = max(1, block_entries // width), []
    for start in range(0, samples, size):
        batch = min(size, samples - start)
        w = task.sample_tasks(rng, batch)
        tokens = task.sample_tokens(rng, w, shots)
        miss = posterior_mean(task, transpose(tokens) @ tokens / shots, shots) - w
        losses.append(np.einsum("bi,ij,bj->b", miss, task.covariance, miss))
    return np.concatenate(losses)
