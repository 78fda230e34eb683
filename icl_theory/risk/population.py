"""Population risk of a model: a closed form where there is one, else Monte Carlo over S or over whole prompts."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.numerics import Key, generator
from icl_theory.descent.implied_weights import final_weights, quadratic_loss
from icl_theory.models.attention import predict
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.risk.one_layer import exact_risk, require_exact_risk
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import known
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.prompt import Prompt

UNIT = "squared error"
INFINITE = "a fourth moment of the inputs or of the label noise that the layer reads is infinite"
BLOCK_ENTRIES = 2**21
"""Most entries that the stack of second moments of one Monte Carlo block may have (16 MiB in float64)."""


def population_risk(
    model: Model,
    task: Task,
    *,
    shots: int,
    samples: int | None = None,
    key: Key = 0,
) -> Estimate:
    """E |ŷ - y|² over tasks, demonstrations and the query; for linear attention E (p - w)ᵀ Λ (p - w), ŷ = p · x_q.

    Three methods; the first that applies is used:

    * one linear layer on linear regression, or reading labels as ŷ = Π S_yx Pᵀ x_q on a task that knows its moments:
      a closed form in W_V, W_K, W_Q, nothing is sampled (see `risk.one_layer.exact_risk`); it is +inf where the layer
      reads a fourth moment that is infinite;
    * deeper linear models on linear regression with Gaussian inputs and label noise: the query is integrated out and
      S is drawn directly, so the cost per sample is O(L D³) whatever N is;
    * everything else, laws whose E u⁴ is not known and tasks with a sampling of their own included: whole prompts with
      a query are sampled. A note says where the law has too few moments for the standard error to mean anything.

    The same key and samples mean the same draws for every model, so that models are compared on common random
    numbers.

    Args:
        model: a single model, of any kind.
        task: any. y is the query's label without noise.
        shots: N, the number of demonstrations.
        samples: independent draws, 4096 if None; ignored where the risk is exact.
        key: a jax.random.key or a whole number.

    Returns: `Estimate` in squared label units: "exact", or "unbiased" with its standard error.
        Deep models have heavy tails (p is of degree (3^L - 1) / 2 in S): far from a good model the error bar is
        itself noisy. A model that overflows float64 gets +inf, with a note.
    Raises: ValueError for an ensemble, a wrong token dimension, an unknown option or a count below its minimum.
    Source: new; Wishart and Gaussian moments, see `risk.one_layer.one_layer_risk`.

    Example:
        >>> from icl_theory import LinearRegression, one_layer_optimum, population_risk
        >>> task = LinearRegression(5, noise_std=0.5)
        >>> model, risk = one_layer_optimum(task, shots=20)
        >>> found = population_risk(model, task, shots=20)
        >>> found.direction, abs(found.value - risk) < 1e-12
        ('exact', True)
    """
    return risk_and_losses(model, task, shots=shots, samples=samples, key=key)[0]


def risk_and_losses(
    model: Model,
    task: Task,
    *,
    shots: int,
    samples: int | None = None,
    key: Key = 0,
) -> tuple[Estimate, np.ndarray | None]:
    """`population_risk` and the independent losses it is the mean of, shape (samples,); None where it is exact.

    Losses of two models under one key are paired: their difference has a small error bar.
    """
    model = checked(model, task.token_dim)
    shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    samples = 4096 if samples is None else samples
    samples = checks.integer("samples", samples, 2, None, "a standard error needs two samples")
    model = model.with_mean(shots)
    if model.linear_in_moments:
        exact = exact_risk(model, task, shots) if model.layers == 1 else None
        if exact is not None:
            heavy = math.isinf(exact) and known(require_exact_risk, task, "") is None
            return Estimate(exact, unit=UNIT, note=INFINITE if heavy else ""), None
        if task.draws_moments:
            linear: LinearRegression = task.require_gaussian_tokens("the population risk")
            losses = _sampled_losses(model, linear, shots, samples, key)
            return summary(losses), losses
    losses = token_losses(model, task, shots, samples, key)
    # ŷ of linear attention is of degree 3^L - 1 in a token, of softmax attention of degree 1; the loss squares it, its
    # variance once more.
    note = known(task.tail_note, 4 if model.kind == "softmax" else 4 * (3**model.layers - 1)) or ""
    result = summary(losses)
    return replace(result, note="; ".join(filter(None, (result.note, note)))), losses


def token_losses(model: Model, task: Task, shots: int, samples: int, key: Key) -> np.ndarray:
    """Independent draws of |ŷ - y_q|² from whole prompts, shape (samples,)."""
    errors = [
        ((guess - prompt.y_query) ** 2).reshape(len(guess), -1).sum(1)
        for guess, prompt in _predictions(model, task, shots, samples, key)
    ]
    return np.concatenate(errors)[:samples]


def _predictions(model: Model, task: Task, shots: int, samples: int, key: Key) -> Iterator[tuple[np.ndarray, Prompt]]:
    """Predictions and the prompts they are for, in blocks of equal size (one compilation)."""
    rng = generator(key)
    blocks = math.ceil(samples * shots * task.token_dim / BLOCK_ENTRIES)
    for _ in range(blocks):
        prompt = task.sample_prompts(rng, task.sample_tasks(rng, math.ceil(samples / blocks)), shots)
        yield predict(model, prompt), prompt


def accuracy(
    model: Model,
    task: Task,
    *,
    shots: int,
    samples: int = 4096,
    key: Key = 0,
) -> Estimate:
    """P(sign ŷ = y_q) for labels ±1, P(argmax ŷ = class) for one-hot labels, over whole prompts.

    Args:
        model: a single model, of any kind.
        task: a classification (`Task.classifies`), which says what is `correct`.
        shots: N, the number of demonstrations.
        samples: prompts, at least 2.
        key: a jax.random.key or a whole number; equal keys give equal prompts.

    Returns: `Estimate`, "unbiased", unit "accuracy".
    Raises: ValueError for another task or an option out of range.

    Example:
        >>> from icl_theory import LinearClassification, accuracy, one_layer_optimum
        >>> task = LinearClassification(2)
        >>> found = accuracy(one_layer_optimum(task, shots=40)[0], task, shots=40, samples=256)
        >>> 0.8 < float(found) < 1
        True
    """
    model = checked(model, task.token_dim)
    if not task.classifies:
        hint = "use population_risk"
        raise checks.error("task for the accuracy", f"a {type(task).__name__}", "a classification", hint)
    shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    samples = checks.integer("samples", samples, 2, None, "a standard error needs two samples")
    blocks = _predictions(model, task, shots, samples, key)
    right = np.concatenate([task.correct(guess, prompt.y_query) for guess, prompt in blocks])[:samples]
    return Estimate.from_samples(right, unit="accuracy")


def _losses(model: Model, moments: np.ndarray, w: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):  # a diverging model; what is not finite is counted
        return quadratic_loss(final_weights(model, moments), w, covariance)


def _sampled_losses(model: Model, task: LinearRegression, shots: int, samples: int, key: Key) -> Any:
    """Independent draws of (p - w)ᵀ Λ (p - w), shape (samples,), in blocks of equal size (one compilation)."""
    rng = generator(key)
    blocks = math.ceil(samples * task.token_dim**2 / BLOCK_ENTRIES)
    size = math.ceil(samples / blocks)
    losses = [_losses(model, *task.sample_moments(rng, size, shots), task.covariance) for _ in range(blocks)]
    return np.concatenate(losses)[:samples]


def summary(losses: np.ndarray) -> Estimate:
    """Mean and standard error of independent losses; +inf with a note if some of them overflowed."""
    count = len(losses)
    bad = int((~np.isfinite(losses)).sum())
    if bad:
        return Estimate(math.inf, 0.0, count, "unbiased", UNIT, f"{bad} of {count} samples overflow")
    return Estimate.from_samples(losses, unit=UNIT)
