"""Population risk of a model: a closed form where there is one, else Monte Carlo over S or over whole prompts."""

import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.numerics import float64, generator
from icl_theory.descent.implied_weights import READOUTS, final_implied_weights, quadratic_loss
from icl_theory.models.attention import checked_options, predict
from icl_theory.models.weights import AttentionWeights, checked
from icl_theory.risk.one_layer import exact_risk
from icl_theory.tasks.base import Prompt, Task
from icl_theory.tasks.classification import LinearClassification, OneHotClassification
from icl_theory.tasks.linear_regression import LinearRegression

UNIT = "squared error"
BLOCK_ENTRIES = 2**21
"""Most entries that the stack of second moments of one Monte Carlo block may have (16 MiB in float64)."""


def population_risk(
    weights: AttentionWeights,
    task: Task,
    *,
    shots: int,
    samples: int | None = None,
    key: Any = None,
    readout: str = "minus",
    kind: str = "linear",
    mask: str = "demonstrations",
    activation: str = "identity",
) -> Estimate:
    """E |ŷ - y|² over tasks, demonstrations and the query; for linear attention E (p - w)ᵀ Λ (p - w), ŷ = p · x_q.

    Three roads, the first that applies:

    * one linear layer on linear regression, or reading labels as ŷ = Π S_yx Pᵀ x_q on a task that knows its moments:
      a closed form in W_V, W_K, W_Q, nothing is sampled (see `risk.one_layer.exact_risk`);
    * deeper linear models on linear regression with Gaussian inputs: the query is integrated out and S is drawn
      directly, so the cost per sample is O(L D³) whatever N is;
    * everything else: whole prompts with a query are sampled.

    The same key and samples mean the same draws for every model, so that models are compared on common random numbers.

    Args:
        weights: a single model, value, key, query each (L, D, D) or (L, heads, D, D); mean normalisation.
        task: any. y is the query's label without noise.
        shots: N, the number of demonstrations.
        samples: independent draws, 4096 if None; ignored where the risk is exact.
        key: a jax.random.key or a whole number, 0 if None.
        readout: "minus", ŷ = -(label slots of the query), or "plus".
        kind, mask, activation: as in `forward`.

    Returns: `Estimate` in squared label units: "exact", or "unbiased" with its standard error.
        Deep models have heavy tails (p is of degree (3^L - 1) / 2 in S): far from a good model the error bar is
        itself noisy. A model that overflows float64 gets +inf, with a note.
    Raises: ValueError for an ensemble, a wrong token dimension, an unknown option or a count below its minimum.
    Source: new; Wishart and Gaussian moments, see `risk.one_layer.one_layer_risk`.
    """
    named = {"readout": readout, "kind": kind, "mask": mask, "activation": activation}
    return risk_and_losses(weights, task, shots=shots, samples=samples, key=key, **named)[0]


def risk_and_losses(
    weights: AttentionWeights,
    task: Task,
    *,
    shots: int,
    samples: int | None = None,
    key: Any = None,
    readout: str = "minus",
    kind: str = "linear",
    mask: str = "demonstrations",
    activation: str = "identity",
) -> tuple[Estimate, np.ndarray | None]:
    """`population_risk` and the independent losses it is the mean of, shape (samples,); None where it is exact.

    Losses of two models under one key are paired: their difference has a small error bar.
    """
    weights = checked(weights, task.token_dimension)
    shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    samples = 4096 if samples is None else samples
    samples = checks.integer("samples", samples, 2, None, "a standard error needs two samples")
    checks.choice("readout", readout, READOUTS)
    options = checked_options(kind, mask, "mean", activation)
    key = 0 if key is None else key
    if linear_in_moments(weights, options):
        exact = exact_risk(weights, task, shots, readout) if weights.layers == 1 else None
        if exact is not None:
            return Estimate(exact, unit=UNIT), None
        if isinstance(task, LinearRegression) and task.inputs == "gaussian":
            losses = _sampled_losses(weights, task, shots, samples, key, readout)
            return summary(losses), losses
    losses = token_losses(weights, task, shots, samples, key, options, readout)
    return summary(losses), losses


def linear_in_moments(weights: AttentionWeights, options: tuple[str, str, str, str]) -> bool:
    """Whether the prediction is a function of S and linear in x_q: linear attention, full mask, no ReLU."""
    kind, mask, _, activation = options
    return (kind, mask) == ("linear", "demonstrations") and (weights.mlp_in is None or activation == "identity")


def token_losses(
    weights: AttentionWeights,
    task: Task,
    shots: int,
    samples: int,
    key: Any,
    options: tuple[str, str, str, str],
    readout: str,
) -> np.ndarray:
    """Independent draws of |ŷ - y_q|² from whole prompts, shape (samples,)."""
    errors = [
        ((guess - prompt.y_query) ** 2).reshape(len(guess), -1).sum(1)
        for guess, prompt in _predictions(weights, task, shots, samples, key, options, readout)
    ]
    return np.concatenate(errors)[:samples]


def _predictions(
    weights: AttentionWeights, task: Task, shots: int, samples: int, key: Any, options: tuple, readout: str
) -> Iterator[tuple[np.ndarray, Prompt]]:
    """Predictions and the prompts they are for, in blocks of equal size (one compilation)."""
    rng = generator(key)
    blocks = math.ceil(samples * shots * task.token_dimension / BLOCK_ENTRIES)
    kind, mask, normalization, activation = options
    for _ in range(blocks):
        prompt = task.sample_prompts(rng, task.sample_tasks(rng, math.ceil(samples / blocks)), shots)
        named = {"kind": kind, "mask": mask, "normalization": normalization, "activation": activation}
        yield predict(weights, prompt, readout=readout, **named), prompt


def accuracy(
    weights: AttentionWeights,
    task: LinearClassification | OneHotClassification,
    *,
    shots: int,
    samples: int = 4096,
    key: Any = 0,
    readout: str = "minus",
    kind: str = "linear",
    mask: str = "demonstrations",
    activation: str = "identity",
) -> Estimate:
    """P(sign ŷ = y_q) for labels ±1, P(argmax ŷ = class) for one-hot labels, over whole prompts.

    Args: as in `population_risk`; the task is a classification.
    Returns: `Estimate`, "unbiased", unit "accuracy". Raises: ValueError for another task or an option out of range.
    """
    weights = checked(weights, task.token_dimension)
    if not isinstance(task, LinearClassification | OneHotClassification):
        cure = "use population_risk"
        raise checks.refuse("task for the accuracy", f"a {type(task).__name__}", "a classification", cure)
    shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    samples = checks.integer("samples", samples, 2, None, "a standard error needs two samples")
    options = checked_options(kind, mask, "mean", activation)
    blocks = _predictions(weights, task, shots, samples, key, options, readout)
    right = np.concatenate([task.correct(guess, prompt.y_query) for guess, prompt in blocks])[:samples]
    return Estimate.from_samples(right, unit="accuracy")


@jax.jit(static_argnames="readout")
def _losses(weights: AttentionWeights, moments: Any, w: Any, covariance: Any, readout: str) -> Any:
    return quadratic_loss(final_implied_weights(weights, jnp.moveaxis(moments, 0, -1), readout).T, w, covariance)


@float64
def _sampled_losses(
    weights: AttentionWeights, task: LinearRegression, shots: int, samples: int, key: Any, readout: str
) -> Any:
    """Independent draws of (p - w)ᵀ Λ (p - w), shape (samples,), in blocks of equal size (one compilation)."""
    rng = generator(key)
    blocks = math.ceil(samples * task.token_dimension**2 / BLOCK_ENTRIES)
    size = math.ceil(samples / blocks)
    losses = [
        np.asarray(_losses(weights, *task.sample_moments(rng, size, shots), jnp.asarray(task.covariance), readout))
        for _ in range(blocks)
    ]
    return np.concatenate(losses)[:samples]


def summary(losses: np.ndarray) -> Estimate:
    """Mean and standard error of independent losses; +inf with a note if some of them overflowed."""
    count = len(losses)
    bad = int((~np.isfinite(losses)).sum())
    if bad:
        return Estimate(math.inf, 0.0, count, "unbiased", UNIT, f"{bad} of {count} samples overflow")
    return Estimate.from_samples(losses, unit=UNIT)
