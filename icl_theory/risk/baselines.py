"""Reference risks as functions of the number of examples N: least squares, ridge and Bayes.

Zero prediction is `task.zero_risk`. Every risk is E |ŷ - y_q|² with a clean query label. For linear tasks x_q, w and
the label noise are integrated out, and only S_xx is sampled where no closed form is known; for ReLU teachers,
classification and tasks with a sampling of their own whole prompts are sampled. Every prediction sees exactly the N
demonstrations of the prompt, as a model does.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.numerics import EPS, Key, generator, transpose
from icl_theory.risk.baseline_predictions import prior_root, prompt_arrays, ridge_predictions
from icl_theory.risk.sparse_posterior import sparse_bayes_losses
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import known
from icl_theory.tasks.laws import Gaussian
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.sparse_regression import SparseLinearRegression

UNIT = "squared error"
BLOCK_ENTRIES = 2**21
"""Most input entries drawn at a time (16 MiB in float64)."""


def least_squares_risk(task: Task, *, shots: int, samples: int = 4096, key: Key = 0) -> Estimate:
    """E (w_ls - w)ᵀ Λ (w_ls - w), where w_ls has the least norm of all minimisers of Σ (w·x_i - y_i)².

    With r = rank Λ and Gaussian inputs: σ² r/(N - r - 1) for N ≥ r + 2, since (XᵀX)^{-1} is inverse Wishart; for
    N ≤ r - 2 and equal eigenvalues λ of Λ: λ tr(ΠΩ) (1 - N/r) + σ² N/(r - N - 1), Π the projection on Λ's range.
    For |N - r| ≤ 1 with noise the smallest eigenvalue of S has no inverse mean: +inf, for all continuous inputs. A law
    that is not known to be continuous can leave S singular at any N: there the rank is that of each S_xx.

    Args:
        task: any; the formulas are for linear regression with any Λ, Ω, σ, w and laws of u and ε.
        shots: N.
        samples: independent S_xx, or prompts, where no closed form is known.
        key: a jax.random.key or a whole number.

    Returns: `Estimate` in squared label units, "exact" where a formula above applies, else "unbiased"; a note says
        where the samples have no variance, so that the standard error is no guide.
    Raises: ValueError for a count below its minimum.
    Source: Hastie et al. 2022, Section 3 (arXiv:1903.08560v5) for the finite-N Wishart moments.

    Example:
        >>> from icl_theory import LinearRegression, least_squares_risk
        >>> print(least_squares_risk(LinearRegression(5, noise_std=0.5), shots=11))
        = 0.25 squared error
    """
    shots, samples = _counts(shots, samples)
    linear = _one_output(task)
    if linear is None:
        return _sampled_prompts(task, shots, 0.0, np.eye(task.dim), samples, key)
    return _times(task.outputs, _least_squares_risk(linear, shots, samples, key))


def _one_output(task: Task) -> LinearRegression | None:
    """One output of a task that is linear regression with the Λ and Ω it names; None for any other."""
    return known(lambda: task.row)


def _least_squares_risk(task: LinearRegression, shots: int, samples: int, key: Key) -> Estimate:
    rank, noisy = int(np.linalg.matrix_rank(task.covariance)), task.noise_std > 0
    if not _continuous(task):
        return _sampled(task, shots, 0.0, np.eye(task.dim), samples, key)
    if noisy and abs(shots - rank) <= 1:
        return Estimate(math.inf, unit=UNIT, note=f"label noise at N within 1 of the input rank {rank}")
    if shots >= rank and not noisy:
        return Estimate(0.0, unit=UNIT)
    if type(task.inputs) is Gaussian:
        value = _wishart_risk(task, shots, rank)
        if value is not None:
            return Estimate(value, unit=UNIT)
    heavy = noisy and abs(shots - rank) <= 3
    note = f"N within 3 of the input rank {rank}: no finite variance, the error bar is no guide" if heavy else ""
    return _sampled(task, shots, 0.0, np.eye(task.dim), samples, key, note)


def _continuous(task: LinearRegression) -> bool:
    """Whether N inputs are known to have rank min(N, rank Λ)."""
    return getattr(task.inputs, "continuous", False)


def ridge_risk(
    task: Task, *, shots: int, penalty: float, prior: Any = None, samples: int = 4096, key: Key = 0
) -> Estimate:
    """E (w_λ - w)ᵀ Λ (w_λ - w) with w_λ = argmin (1/N) Σ (w·x_i - y_i)² + λ wᵀ Π^{-1} w.

    Given S_xx, with B = R (R S_xx R + λI)^{-1} R and R = Π^{1/2}, it is bias plus variance,
    tr Λ (B S_xx - I) Ω (B S_xx - I)ᵀ + (σ²/N) tr Λ B S_xx B: only S_xx is sampled.

    Args:
        task: any; the formula is for linear regression with any Λ, Ω, σ, w and laws of u and ε.
        shots: N.
        penalty: λ > 0, in the mean convention.
        prior: Π, (d_x, d_x), may be singular; I if None.
        samples: independent S_xx, or prompts.
        key: a jax.random.key or a whole number; equal keys give equal samples.

    Returns: `Estimate`, "unbiased", in squared label units.
    Raises: ValueError for λ ≤ 0 or a count below its minimum.

    Example:
        >>> from icl_theory import LinearRegression, bayes_risk, ridge_risk
        >>> task = LinearRegression(5, noise_std=0.5)
        >>> found, least = ridge_risk(task, shots=20, penalty=0.5**2 / 20), bayes_risk(task, shots=20)
        >>> abs(found.value - least.value) < 1e-12
        True
    """
    shots, samples = _counts(shots, samples)
    penalty = checks.number("penalty", penalty, low=0.0, strict=True, hint="use least_squares_risk")
    root = prior_root(prior, task.dim)
    linear = _one_output(task)
    if linear is None:
        return _sampled_prompts(task, shots, penalty, root, samples, key)
    return _times(task.outputs, _sampled(linear, shots, penalty, root, samples, key))


def bayes_risk(task: Task, *, shots: int, samples: int = 4096, key: Key = 0) -> Estimate:
    """E tr(Λ Cov(w | demonstrations)), the least risk of any predictor that sees N demonstrations.

    For w ~ N(0, Ω) the posterior mean is ridge with λ = σ²/N and prior Π = Ω; for σ = 0 its limit, so 0 once N reaches
    the rank of Ω^{1/2} Λ Ω^{1/2}. For sparse w it is a mixture over the supports (see `sparse_posterior`); for σ = 0
    it is 0 once N > s, since then only the true support fits.

    Args:
        task: linear regression, with one or several outputs; any Λ, Ω, σ, law of u, w dense or sparse; ε Gaussian.
        shots: N.
        samples: independent S_xx (for sparse w, prompts).
        key: a jax.random.key or a whole number; equal keys give equal samples.

    Returns: `Estimate` in squared label units, "unbiased", or "exact" where it is 0.
    Raises: ValueError for a task whose posterior mean is not known, too many supports, or a bad count.

    Example:
        >>> from icl_theory import LinearRegression, bayes_risk
        >>> print(bayes_risk(LinearRegression(5), shots=5))
        = 0 squared error
    """
    shots, samples = _counts(shots, samples)
    linear = task.row
    if isinstance(linear, SparseLinearRegression):
        return _sparse_bayes_risk(linear.require_sparse_posterior("the Bayes risk"), shots, samples, key)
    return _times(task.outputs, _bayes_risk(linear.require_gaussian_posterior("the Bayes risk"), shots, samples, key))


def _bayes_risk(task: LinearRegression, shots: int, samples: int, key: Key) -> Estimate:
    if task.noise_std == 0 and _continuous(task) and shots >= _common_rank(task, task.task_root):
        return Estimate(0.0, unit=UNIT)
    return _sampled(task, shots, task.noise_std**2 / shots, task.task_root, samples, key)


def _sparse_bayes_risk(task: SparseLinearRegression, shots: int, samples: int, key: Key) -> Estimate:
    if task.noise_std == 0:
        full = _continuous(task) and np.linalg.matrix_rank(task.covariance) == task.dim
        if shots <= task.nonzero or not full:
            got = f"no label noise with N = {shots} and s = {task.nonzero}"
            expected = "label noise, or N > s, continuous inputs and a Λ of full rank"
            raise checks.error("task for the Bayes risk", got, expected, "add it")
        return Estimate(0.0, unit=UNIT)
    return _mean(sparse_bayes_losses(task, generator(key), samples, shots, BLOCK_ENTRIES))


def _counts(shots: int, samples: int) -> tuple[int, int]:
    shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    return shots, checks.integer("samples", samples, 2, None, "a standard error needs two samples")


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
    if task.draws_moments:
        return task.sample_moments(rng, batch, shots)[0][:, :-1, :-1]
    x = task.sample_inputs(rng, (batch, shots))
    return transpose(x) @ x / shots


def _sampled(
    task: LinearRegression, shots: int, penalty: float, root: np.ndarray, samples: int, key: Key, note: str = ""
) -> Estimate:
    """Mean and standard error of `_conditional_risk` over independent S_xx, drawn in blocks."""
    rng = generator(key)
    rows = task.token_dim if task.draws_moments else max(shots, task.dim)
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
        x, y, x_query = prompt_arrays(prompt)
        miss = ridge_predictions(x @ root, y, x_query @ root, penalty) - prompt.y_query
        errors.append((miss.reshape(len(miss), -1) ** 2).sum(1))
    # ŷ is of degree one in a label, the loss of degree two, its square of degree four.
    return _mean(np.concatenate(errors), known(task.tail_note, 4) or "")


def _conditional_risk(
    task: LinearRegression, s: np.ndarray, shots: int, penalty: float, root: np.ndarray
) -> np.ndarray:
    """E[(w_λ - w)ᵀ Λ (w_λ - w) | S_xx], see `ridge_risk`; shape (batch,)."""
    values, vectors = np.linalg.eigh(root @ s @ root)
    # S vanishes on the other directions; with continuous inputs their number is known almost surely, without tolerance.
    present = np.arange(task.dim) >= task.dim - min(shots, _common_rank(task, root))
    if not _continuous(task):
        present = present & (values > task.dim * EPS * values[:, -1:])
    inverse = np.divide(1.0, values + penalty, out=np.zeros_like(values), where=np.broadcast_to(present, values.shape))
    half = root @ vectors
    b = (half * inverse[:, None]) @ transpose(half)
    miss = (b @ s - np.eye(task.dim)) @ task.task_root
    bias = np.einsum("kia,ij,kja->k", miss, task.covariance, miss, optimize=True)
    return bias + task.noise_std**2 / shots * np.einsum("ij,kij->k", task.covariance, b @ s @ b)
