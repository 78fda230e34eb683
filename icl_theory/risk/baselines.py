"""Truths as functions of the number of examples N: least squares, ridge and Bayes, their risks and predictions.

Zero prediction is `task.zero_risk`. Every risk is E |ŷ - y_q|² with a clean query label. For linear tasks x_q, w and
the label noise are integrated out, and only S_xx is sampled where no closed form is known; for ReLU teachers and
classification whole prompts are sampled. Every prediction sees exactly the N demonstrations of the prompt, as a model
does.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.numerics import EPS, Key, generator, transpose
from icl_theory.risk.sparse_posterior import sparse_bayes_losses
from icl_theory.tasks.base import Prompt, Task, square_root
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.sparse_regression import SparseLinearRegression
from icl_theory.tasks.vector_regression import VectorRegression

UNIT = "squared error"
BLOCK_ENTRIES = 2**21
"""Most input entries drawn at a time (16 MiB in float64)."""


def least_squares_risk(task: Task, *, shots: int, samples: int = 4096, key: Key = 0) -> Estimate:
    """E (w_ls - w)ᵀ Λ (w_ls - w), where w_ls has the least norm of all minimisers of Σ (w·x_i - y_i)².

    With r = rank Λ and Gaussian inputs: σ² r/(N - r - 1) for N ≥ r + 2, since (XᵀX)^{-1} is inverse Wishart; for
    N ≤ r - 2 and equal eigenvalues λ of Λ: λ tr(ΠΩ) (1 - N/r) + σ² N/(r - N - 1), Π the projection on Λ's range.
    For |N - r| ≤ 1 with noise the smallest eigenvalue of S has no inverse mean: +inf, for uniform inputs too.

    Args:
        task: any; the formulas are for linear regression with any Λ, Ω, σ, w and inputs.
        shots: N. samples: independent S_xx, or prompts, where no closed form is known.
        key: a jax.random.key or a whole number.

    Returns: `Estimate` in squared label units, "exact" where a formula above applies, else "unbiased"; a note tells
        where the samples have no variance, so that the standard error is no guide.
    Raises: ValueError for a count below its minimum.
    Source: Hastie et al. 2022, Section 3 (arXiv:1903.08560v5) for the finite-N Wishart moments.
    """
    shots, samples = _counts(shots, samples)
    if isinstance(task, VectorRegression):
        return _times(task.outputs, least_squares_risk(task.row, shots=shots, samples=samples, key=key))
    if not isinstance(task, LinearRegression):
        return _sampled_prompts(task, shots, 0.0, np.eye(task.dim), samples, key)
    linear = task
    rank, noisy = int(np.linalg.matrix_rank(linear.covariance)), linear.noise_std > 0
    if noisy and abs(shots - rank) <= 1:
        return Estimate(math.inf, unit=UNIT, note=f"label noise at N within 1 of the input rank {rank}")
    if shots >= rank and not noisy:
        return Estimate(0.0, unit=UNIT)
    if linear.inputs == "gaussian":
        value = _wishart_risk(linear, shots, rank)
        if value is not None:
            return Estimate(value, unit=UNIT)
    heavy = noisy and abs(shots - rank) <= 3
    note = f"N within 3 of the input rank {rank}: no finite variance, the error bar is no guide" if heavy else ""
    return _sampled(linear, shots, 0.0, np.eye(linear.dim), samples, key, note)


def ridge_risk(
    task: Task, *, shots: int, penalty: float, prior: Any = None, samples: int = 4096, key: Key = 0
) -> Estimate:
    """E (w_λ - w)ᵀ Λ (w_λ - w) with w_λ = argmin (1/N) Σ (w·x_i - y_i)² + λ wᵀ Π^{-1} w.

    Given S_xx, with B = R (R S_xx R + λI)^{-1} R and R = Π^{1/2}, it is bias plus variance,
    tr Λ (B S_xx - I) Ω (B S_xx - I)ᵀ + (σ²/N) tr Λ B S_xx B: only S_xx is sampled.

    Args:
        task: any; the formula is for linear regression with any Λ, Ω, σ, w and inputs.
        shots: N. penalty: λ > 0, in the mean convention. prior: Π, (d_x, d_x), may be singular; I if None.
        samples: independent S_xx, or prompts. key: a jax.random.key or a whole number; equal keys give equal samples.

    Returns: `Estimate`, "unbiased", in squared label units.
    Raises: ValueError for λ ≤ 0 or a count below its minimum.
    """
    shots, samples = _counts(shots, samples)
    penalty = checks.number("penalty", penalty, low=0.0, strict=True, cure="use least_squares_risk")
    root = _prior_root(prior, task.dim)
    if isinstance(task, VectorRegression):
        return _times(task.outputs, _sampled(task.row, shots, penalty, root, samples, key))
    if not isinstance(task, LinearRegression):
        return _sampled_prompts(task, shots, penalty, root, samples, key)
    return _sampled(task, shots, penalty, root, samples, key)


def bayes_risk(task: Task, *, shots: int, samples: int = 4096, key: Key = 0) -> Estimate:
    """E tr(Λ Cov(w | demonstrations)), the least risk of any predictor that sees N demonstrations.

    For w ~ N(0, Ω) the posterior mean is ridge with λ = σ²/N and prior Π = Ω; for σ = 0 its limit, so 0 once N reaches
    the rank of Ω^{1/2} Λ Ω^{1/2}. For sparse w it is a mixture over the supports (see `sparse_posterior`); for σ = 0
    it is 0 once N > s, since then only the true support fits.

    Args:
        task: linear regression, with one or several outputs; any Λ, Ω, σ, inputs, and w dense or sparse.
        shots: N. samples: independent S_xx (for sparse w, prompts). key: a jax.random.key or a whole number; equal
            keys give equal samples.

    Returns: `Estimate` in squared label units, "unbiased", or "exact" where it is 0.
    Raises: ValueError for a task whose posterior mean is not known, too many supports, or a bad count.
    """
    shots, samples = _counts(shots, samples)
    if isinstance(task, VectorRegression):
        return _times(task.outputs, bayes_risk(task.row, shots=shots, samples=samples, key=key))
    if isinstance(task, SparseLinearRegression):
        return _sparse_bayes_risk(task, shots, samples, key)
    linear: LinearRegression = task.require_gaussian_tasks("the Bayes risk")
    if linear.noise_std == 0 and shots >= _common_rank(linear, linear.task_root):
        return Estimate(0.0, unit=UNIT)
    return _sampled(linear, shots, linear.noise_std**2 / shots, linear.task_root, samples, key)


def _sparse_bayes_risk(task: SparseLinearRegression, shots: int, samples: int, key: Key) -> Estimate:
    if task.noise_std == 0:
        if shots <= task.nonzero or np.linalg.matrix_rank(task.covariance) < task.dim:
            got = f"no label noise with N = {shots} and s = {task.nonzero}"
            raise checks.refuse("task for the Bayes risk", got, "label noise, or N > s and a Λ of full rank", "add it")
        return Estimate(0.0, unit=UNIT)
    return _mean(sparse_bayes_losses(task, generator(key), samples, shots, BLOCK_ENTRIES))


def least_squares_predict(prompt: Prompt) -> np.ndarray:
    """w_ls · x_q with w_ls of least norm among the minimisers of Σ |w·x_i - y_i|²; shape (batch,), or (batch, d_y).

    Args: prompt: N demonstrations and a query each. Raises: ValueError for wrong shapes or NaN.
    """
    x, y, x_query = _arrays(prompt)
    return _predictions(x, y, x_query, 0.0)


def ridge_predict(prompt: Prompt, penalty: float, *, prior: Any = None) -> np.ndarray:
    """w_λ · x_q with w_λ = argmin (1/N) Σ (w·x_i - y_i)² + λ wᵀ Π^{-1} w; shape (batch,), or (batch, d_y).

    λ = σ²/N and Π = Ω give the Bayes prediction of `LinearRegression`.

    Args: prompt: N demonstrations and a query each. penalty: λ > 0. prior: Π, may be singular; I if None.
    Raises: ValueError for wrong shapes, NaN or λ ≤ 0.
    """
    x, y, x_query = _arrays(prompt)
    penalty = checks.number("penalty", penalty, low=0.0, strict=True, cure="use least_squares_predict")
    root = _prior_root(prior, x.shape[2])
    return _predictions(x @ root, y, x_query @ root, penalty)


def _counts(shots: int, samples: int) -> tuple[int, int]:
    shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    return shots, checks.integer("samples", samples, 2, None, "a standard error needs two samples")


def _prior_root(prior: Any, dim: int) -> np.ndarray:
    return square_root(checks.covariance("prior", prior, dim))


def _common_rank(task: LinearRegression, root: np.ndarray) -> int:
    """Rank of Λ^{1/2} R for R = Π^{1/2}, as that of ΛΠ: a zero eigenvalue of Π rounded to 1e-16 is 1e-8 in its root."""
    return int(np.linalg.matrix_rank(task.covariance @ root @ root))


def _wishart_risk(task: LinearRegression, shots: int, rank: int) -> float | None:
    """The closed forms of `least_squares_risk` for |N - r| ≥ 2 or σ = 0; None where there is none."""
    noise = task.noise_std**2
    if shots > rank:
        return noise * rank / (shots - rank - 1)
    values, vectors = np.linalg.eigh(task.covariance)
    if values[-1] - values[-rank] > 1e-12 * values[-1]:
        return None
    inside = vectors[:, -rank:]
    # The row space of X is a uniformly random N-dimensional subspace of Λ's range.
    bias = values[-1] * np.trace(inside.T @ task.task_covariance @ inside) * (1 - shots / rank)
    return float(bias + (noise * shots / (rank - shots - 1) if noise > 0 else 0.0))


def _input_moments(task: LinearRegression, rng: np.random.Generator, batch: int, shots: int) -> np.ndarray:
    """S_xx, shape (batch, d_x, d_x); Gaussian inputs at a cost that does not grow with N."""
    if task.inputs == "gaussian":
        return task.sample_moments(rng, batch, shots)[0][:, :-1, :-1]
    x = task.sample_inputs(rng, (batch, shots))
    return transpose(x) @ x / shots


def _sampled(
    task: LinearRegression, shots: int, penalty: float, root: np.ndarray, samples: int, key: Key, note: str = ""
) -> Estimate:
    """Mean and standard error of `_conditional_risk` over independent S_xx, drawn in blocks."""
    rng = generator(key)
    rows = task.token_dim if task.inputs == "gaussian" else max(shots, task.dim)
    size = max(1, BLOCK_ENTRIES // (rows * task.token_dim))
    parts = [
        _conditional_risk(task, _input_moments(task, rng, min(size, samples - done), shots), shots, penalty, root)
        for done in range(0, samples, size)
    ]
    return _mean(np.concatenate(parts), note)


def _mean(values: np.ndarray, note: str = "") -> Estimate:
    return Estimate.from_samples(values, unit=UNIT, note=note)


def _times(factor: float, risk: Estimate) -> Estimate:
    """The risk of `factor` independent outputs with the same inputs."""
    return replace(risk, value=factor * risk.value, stderr=factor * risk.stderr)


def _sampled_prompts(task: Task, shots: int, penalty: float, root: np.ndarray, samples: int, key: Key) -> Estimate:
    """Mean of |ŷ - y_q|² over prompts, for tasks that are not linear; drawn in blocks."""
    rng, errors = generator(key), []
    size = max(1, BLOCK_ENTRIES // (max(shots, task.dim) * task.token_dim))
    for start in range(0, samples, size):
        prompt = task.sample_prompts(rng, task.sample_tasks(rng, min(size, samples - start)), shots)
        x, y, x_query = _arrays(prompt)
        miss = _predictions(x @ root, y, x_query @ root, penalty) - prompt.y_query
        errors.append((miss.reshape(len(miss), -1) ** 2).sum(1))
    return _mean(np.concatenate(errors))


def _conditional_risk(
    task: LinearRegression, s: np.ndarray, shots: int, penalty: float, root: np.ndarray
) -> np.ndarray:
    """E[(w_λ - w)ᵀ Λ (w_λ - w) | S_xx], see `ridge_risk`; shape (batch,)."""
    values, vectors = np.linalg.eigh(root @ s @ root)
    # S vanishes on the other directions; the rank is known almost surely, so that no tolerance decides which they are.
    top = task.dim - min(shots, _common_rank(task, root))
    inverse = np.zeros_like(values)
    inverse[:, top:] = 1 / (values[:, top:] + penalty)
    half = root @ vectors
    b = (half * inverse[:, None]) @ transpose(half)
    miss = (b @ s - np.eye(task.dim)) @ task.task_root
    bias = np.einsum("kia,ij,kja->k", miss, task.covariance, miss, optimize=True)
    return bias + task.noise_std**2 / shots * np.einsum("ij,kij->k", task.covariance, b @ s @ b)


def _arrays(prompt: Prompt) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not isinstance(prompt, Prompt):
        raise checks.refuse("prompt", type(prompt).__name__, "a Prompt", "use task.sample or Prompt(x, y, ...)")
    x = checks.array("prompt.x", prompt.x, (None, None, None))
    batch, shots, dim = x.shape
    y = checks.array("prompt.y", prompt.y, (batch, shots, None)[: max(2, np.ndim(prompt.y))])
    return x, y, checks.array("prompt.x_query", prompt.x_query, (batch, dim))


def _predictions(x: np.ndarray, y: np.ndarray, x_query: np.ndarray, penalty: float) -> np.ndarray:
    """x_q · (XᵀX + NλI)^{-1} Xᵀ y by the SVD of X; the pseudoinverse for λ = 0."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    # numpy's convention for the rank, and directions below it carry nothing.
    present = s > s[:, :1] * max(x.shape[1:]) * EPS
    factor = np.divide(s, s**2 + x.shape[1] * penalty, out=np.zeros_like(s), where=present)
    labels = transpose(u) @ (y[..., None] if y.ndim == 2 else y)
    prediction = np.einsum("bic,bij,bj->bc", factor[..., None] * labels, vt, x_query, optimize=True)
    return prediction[:, 0] if y.ndim == 2 else prediction
