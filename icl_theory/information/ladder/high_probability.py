"""A bound on the gap of a single run that holds with high probability, not on average over runs."""

import math
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import gammaln, logsumexp, xlogy

from icl_theory.core import checks
from icl_theory.core.binary_kl import largest_excess
from icl_theory.core.estimate import Estimate
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key
from icl_theory.core.results import Result
from icl_theory.information.ladder.losses import BoundedLoss, loss_range, trajectory_losses
from icl_theory.information.ladder.noisy_trajectory import Batches, Runs, simulate
from icl_theory.information.ladder.path_prior import path_log_ratio
from icl_theory.information.ladder.readout import readout_log_ratio
from icl_theory.information.ladder.rungs import reference_of, singular
from icl_theory.information.ladder.setting import Setting, fixed_task
from icl_theory.models.model import Model
from icl_theory.tasks.base import Task


@fields_in_help
@dataclass(frozen=True, repr=False)
class HighProbabilityBound(Result):
    """A bound on L_μ(W) - L_{H_s}(W) for every run, all but a share δ of which may be wrong.

    Example:
        >>> from icl_theory import LinearRegression, high_probability_bound, random_weights
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> found = high_probability_bound(model, task, demonstrations=80, shots=20, clip=4.0, samples=64)
        >>> found.confidence, len(found.bounds), found.trivial
        (0.95, 64, 4.0)
    """

    confidence: float
    """1 - δ."""
    bound: Estimate
    """Mean of the bounds over runs, in units of the loss; +inf with the reason where there is no density."""
    gap: Estimate
    """Mean of the gaps, in units of the loss."""
    violated: Estimate | None
    """Share of the runs whose gap is above their bound; None where the population loss of a run is only sampled."""
    constant: float
    """log(ξ(N)/δ) in nats, which every run pays."""
    trivial: float
    """c, the range of the loss."""
    bounds: np.ndarray = field(repr=False)
    """In units of the loss, shape (samples,)."""
    gaps: np.ndarray = field(repr=False)
    """L_μ(W) - L_{H_s}(W), shape (samples,)."""
    densities: np.ndarray = field(repr=False)
    """ι, nats, shape (samples,)."""


def high_probability_bound(
    model: Model,
    task: Task,
    *,
    demonstrations: int,
    shots: int,
    clip: float,
    samples: int,
    confidence: float = 0.95,
    key: Key = 0,
    task_vector: Any = None,
    floor: float = 0.0,
    loss: BoundedLoss = "clipped_squared",
) -> HighProbabilityBound:
    """kl(L_{H_s}(W)/c ‖ L_μ(W)/c) ≤ (ι + log(ξ(N)/δ)) / N with probability 1 - δ over demonstrations and noise.

    ι = log p(W_{1:L} | H_s) - log q(W_{1:L}) is the information density of the run under the Gaussian prior of the rung
    `path_gaussian`, whose mean is that rung; at L = 1 that of the readout p alone, which is all that the loss depends
    on. ξ(N) = Σ_k C(N, k) (k/N)^k (1 - k/N)^{N-k} ≤ 2 √N. Proof: for W fixed by the prior E exp(N kl) ≤ ξ(N), by
    convexity the worst case being a binary loss; change the measure, and use Markov's inequality.

    Args:
        model: as in `bound_ladder`.
        task: as in `bound_ladder`.
        demonstrations: N.
        shots: b with 1 ≤ b < N.
        clip: c > 0, in units of the squared label.
        samples: runs, at least 16.
        confidence: 1 - δ, between 0 and 1.
        key: a jax.random.key or a whole number; the runs are those of `bound_ladder` under the same key.
        task_vector: as in `bound_ladder`.
        floor: as in `bound_ladder`.
        loss: as in `bound_ladder`.

    Returns: `HighProbabilityBound`, in units of the loss.
    Raises: ValueError as `bound_ladder`, and for a confidence that is no probability.
    Source: Maurer 2004 (arXiv:cs/0411099) for ξ; Rivasplata et al. 2020 (arXiv:2006.13057v3) for a single draw; new for
        this trajectory.

    Example:
        >>> from icl_theory import LinearRegression, high_probability_bound, random_weights
        >>> model, task = random_weights(0, layers=2, token_dim=3, scale=0.5), LinearRegression(2, noise_std=0.5)
        >>> found = high_probability_bound(model, task, demonstrations=80, shots=20, clip=4.0, samples=64)
        >>> found.gap.value < found.bound.value < found.trivial
        True
    """
    loss_range(loss, clip, task)  # raises for an unknown loss or a clip out of range
    confidence = checks.number("confidence", confidence, low=0.0, strict=True, hint="pass 0.95, say")
    if confidence >= 1:
        raise checks.error("confidence", f"{confidence:g}", "a number below 1", "pass 0.95, say")
    options: dict[str, Any] = {"demonstrations": demonstrations, "shots": shots, "samples": samples}
    setting, seed = fixed_task(model, task, key=key, task_vector=task_vector, floor=floor, **options)
    if setting.through_relus:
        expected, hint = "one layer, or no ReLU", "use bound_ladder, for the mean over runs"
        raise checks.error("model for a single run", f"a ReLU MLP in {setting.model.layers} layers", expected, hint)
    densities, losses, reason, count, limit = [], [], "", setting.demonstrations, loss_range(loss, clip, task)
    for draws in Batches(setting, seed, samples):
        runs = simulate(setting, draws)
        found, reason = _densities(runs, setting)
        densities.append(found)
        losses.append(trajectory_losses(setting, runs.accumulated, draws, clip, loss))
    density = np.concatenate(densities)
    unseen, seen = (np.concatenate(parts) for parts in zip(*losses, strict=True))
    constant = log_mean_exponential(count) - math.log1p(-confidence)
    rates = (density + constant) / count
    bounds = np.array([_bound(q / limit, nats, limit) for q, nats in zip(seen, rates, strict=True)])
    gaps = unseen - seen
    exact = setting.law.gaussian and setting.mlp is None
    violated = Estimate.from_samples((gaps > bounds).astype(float), unit="share") if exact else None
    infinite = Estimate(math.inf, direction="upper", unit="loss", note=reason)
    bound = infinite if reason else Estimate.from_samples(bounds, "unbiased", "loss")
    gap = Estimate.from_samples(gaps, "unbiased", "loss")
    return HighProbabilityBound(confidence, bound, gap, violated, constant, limit, bounds, gaps, density)


def _densities(runs: Runs, setting: Setting) -> tuple[np.ndarray, str]:
    """ι of every run, shape (K,), and why it is infinite, or an empty string."""
    reference = reference_of(setting)
    if len(runs.layers) == 1:
        with suppress(checks.InvalidInputError):  # a dimension in doubt: then all of W
            return readout_log_ratio(runs, setting, reference)
    reason = singular(runs, setting)
    if reason:
        return np.full(len(runs.accumulated), math.inf), reason
    return path_log_ratio(runs, setting, reference), ""


def _bound(q: float, nats: float, limit: float) -> float:
    """c (μ* - q) with kl(q ‖ μ*) = nats."""
    return math.inf if math.isinf(nats) else limit * largest_excess(min(q, 1.0), nats)


def log_mean_exponential(demonstrations: int) -> float:
    """log ξ(N), ξ(N) = Σ_k C(N, k) (k/N)^k (1 - k/N)^{N-k}: the largest E exp(N kl(L̂ ‖ E L̂)) of a loss in [0, 1].

    Args:
        demonstrations: N.

    Returns: nats, at most log(2 √N).
    """
    count = checks.integer("demonstrations", demonstrations, 1, None, "pass N, at least 1")
    k = np.arange(count + 1)
    choices = gammaln(count + 1) - gammaln(k + 1) - gammaln(count - k + 1)
    return float(logsumexp(choices + xlogy(k, k / count) + xlogy(count - k, 1 - k / count)))
