"""The binary relative entropy form of an information bound: never above the range of the loss."""

import math
from typing import Any

import numpy as np
from scipy.optimize import brentq

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate, bounded_information

_SERIES = 12
"""Terms of the series of x - log(1 + x) near 0."""


def _remainder(x: float) -> float:
    """x - log(1 + x) for x > -1, without cancellation near 0."""
    if abs(x) < 0.02:
        return sum((-x) ** k / k for k in range(2, 2 + _SERIES))
    return x - math.log1p(x)


def binary_kl(q: float, excess: float) -> float:
    """kl(q ‖ q + δ) = q log(q/(q + δ)) + (1 - q) log((1 - q)/(1 - q - δ)) in nats, for q in [0, 1] and 0 ≤ δ ≤ 1 - q.

    Written as q g(δ/q) + (1 - q) g(-δ/(1 - q)) with g(x) = x - log(1 + x), so that no digits are lost for small δ.

    Args:
        q: a probability.
        excess: δ.

    Returns: nats; +inf at q + δ = 1 unless q = 1.
    """
    if excess == 0:
        return 0.0
    if excess >= 1 - q:
        return math.inf
    first = q * _remainder(excess / q) if q > 0 else excess
    return first + (1 - q) * _remainder(-excess / (1 - q))


def largest_excess(q: float, nats: float) -> float:
    """The largest δ with kl(q ‖ q + δ) ≤ `nats`: 1 - e^{-nats} at q = 0.

    Args:
        q: a probability.
        nats: at least 0, finite.

    Returns: δ in [0, 1 - q].
    """
    if nats <= 0 or q >= 1:
        return 0.0
    # Two bounds on the root, kl ≥ 2 δ² (Pinsker) and kl ≥ δ² / (2 (q + δ)): within a small factor of it.
    high = min(math.sqrt(nats / 2), nats + math.sqrt(nats**2 + 2 * nats * q), 1 - q)
    if binary_kl(q, high) <= nats:
        return high
    # In units of the upper end, where the root is not tiny.
    root: Any = brentq(lambda x: binary_kl(q, x * high) - nats, 0.0, 1.0, xtol=1e-15)
    return min(high * (float(root) + 4e-15), 1 - q)  # rounded up: what comes out is an upper bound


_ROUNDING = 1e-12  # by so much the mean of many losses that are all c can come out above c


def binary_kl_bound(information: Estimate, *, empirical: Estimate, loss_range: float, demonstrations: int) -> Estimate:
    """gap ≤ c (μ* - q), q = E L̂/c, where μ* is the largest μ with N kl(q ‖ μ) ≤ I, for a loss in [0, c].

    N kl(E L̂/c ‖ E L_μ/c) ≤ I(W; H_s) by the inequality of Donsker and Varadhan with E e^{tℓ} ≤ 1 - μ + μ e^t for ℓ in
    [0, 1] of mean μ, and the concavity of the logarithm. With N = 1 and the mean of I(W; h_i) over i in place of I it
    bounds by single demonstrations. By Pinsker's inequality it is never above c sqrt(I / (2 N)), and it is at most
    c - E L̂.

    Args:
        information: I in nats, exact or an upper bound; +inf gives +inf.
        empirical: E L̂, the expected loss on the demonstrations, in units of the loss.
        loss_range: c > 0.
        demonstrations: N.

    Returns: an `Estimate` of direction "upper" in units of the loss, with the delta-method standard error of both.
    Raises: ValueError for a lower bound, a biased estimate, or numbers out of range.
    Source: new in this form; see Maurer 2004 (arXiv:cs/0411099) for the inequality behind it.

    Example:
        >>> from icl_theory import Estimate
        >>> from icl_theory.core.binary_kl import binary_kl_bound
        >>> bound = binary_kl_bound(Estimate(1e3), empirical=Estimate(0.5), loss_range=4.0, demonstrations=1)
        >>> round(bound.value, 6)
        3.5
    """
    nats, note = bounded_information(information)
    c = checks.number("loss_range", loss_range, low=0.0, strict=True, hint="pass the range of the loss")
    count = checks.integer("demonstrations", demonstrations, 1, None, "pass N, at least 1")
    q = checks.number("empirical", empirical.value, low=0.0, hint="pass the mean loss on the demonstrations") / c
    if q > 1 + _ROUNDING:
        raise checks.error("empirical", f"{empirical.value:g}", f"at most the range {c:g}", "use the clipped loss")
    q = min(q, 1.0)
    if not math.isfinite(nats):
        return Estimate(math.inf, 0.0, information.samples, "upper", "loss", note)
    excess = largest_excess(q, nats / count)
    stderr = c * math.hypot(
        _information_error(q, nats, information.stderr, count, excess), _loss_error(q, excess, empirical.stderr / c)
    )
    samples = max(information.samples, empirical.samples)
    return Estimate(c * excess, stderr, samples, "upper", "loss", note)


def _information_error(q: float, nats: float, stderr: float, count: int, excess: float) -> float:
    """How far δ moves with I: dδ/dI = μ(1 - μ)/(N δ); near I = 0, where it has no slope, δ at one standard error."""
    if stderr == 0:
        return 0.0
    if nats <= stderr or excess <= 0:
        return largest_excess(q, stderr / count)
    mu = q + excess
    return stderr * mu * (1 - mu) / (count * excess)


def _loss_error(q: float, excess: float, stderr: float) -> float:
    """How far δ moves with q at fixed I; at an end of [0, 1], where it has no slope, δ a standard error away."""
    if stderr == 0 or excess <= 0:
        return 0.0
    if q <= stderr or 1 - q <= stderr:
        return stderr + abs(largest_excess(float(np.clip(q + stderr, 0.0, 1.0)), binary_kl(q, excess)) - excess)
    mu = q + excess
    if mu >= 1:
        return stderr
    slope = -math.log(q * (1 - mu) / (mu * (1 - q))) * mu * (1 - mu) / excess
    return stderr * abs(slope - 1)
