"""A one-dimensional example of bounded data and a continuous loss whose gap exceeds what Theorem 2 prints, certified.

log h² is uniform on [0, 50], and the loss is 0 in a window of log h² above log|w|, 1 away from it, with ramps between.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.core.estimate import Estimate

N, LENGTH = 5, 50.0
"""Demonstrations (b = 1 shown), and the length of the interval of log h²."""
WIDTH, RAMP = 3.0, 0.25
"""Of the window in log h², and of its ramps at both ends."""
RISK = 1e-9
"""Probability with which any one of the certificates is wrong."""
_MOST = 3.0
"""Where log(1 + G²/C) is cut for its certificate."""
_CHUNK = 200_000


class Scalar(NamedTuple):
    """What the runs say: the gap, log(1 + G²/C) and log mean h⁴, in means and in certificates."""

    gap: Estimate
    """E[L_μ(W) - L_{H_s}(W)]."""
    ratio: Estimate
    """E[log(G² + C) - log C]."""
    fourth: Estimate
    """E log(mean h⁴) = E log(G² + C)."""
    cut_ratio: float
    """Mean of min(log(1 + G²/C), 3)."""


def window(distance: np.ndarray) -> np.ndarray:
    """1 - ℓ at log h² - log|w|: 0 outside [0, 3], 1 inside, linear in ramps of 1/4."""
    return np.clip(np.minimum(distance, WIDTH - distance) / RAMP, 0.0, 1.0)


def _integral(distance: np.ndarray) -> np.ndarray:
    """∫ window from -∞ to `distance`."""
    t = np.clip(distance, 0.0, WIDTH)
    rising, falling = t**2 / (2 * RAMP), WIDTH - RAMP - (WIDTH - t) ** 2 / (2 * RAMP)
    return np.where(t < RAMP, rising, np.where(t > WIDTH - RAMP, falling, t - RAMP / 2))


def _runs(rng: np.random.Generator, count: int, length: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gap, log(1 + G²/C) and log(G² + C) of `count` runs; h² spans decades, so everything is relative to the largest.

    With all weights 1 and b = 1: G = mean h², C = mean h⁴ - G² (the factor (N-b)/(b(N-1)) is 1), W = G + sqrt(C) n.
    """
    log_h2 = rng.uniform(0.0, length, (count, N))
    top = log_h2.max(axis=1, keepdims=True)
    relative = np.exp(log_h2 - top)
    g, second = relative.mean(axis=1), (relative**2).mean(axis=1)
    c = ((relative - g[:, None]) ** 2).mean(axis=1)
    w = g + np.sqrt(c) * rng.standard_normal(count)
    log_w = top[:, 0] + np.log(np.abs(w))
    chance = (_integral(length - log_w) - _integral(-log_w)) / length
    gap = window(log_h2 - log_w[:, None]).mean(axis=1) - chance
    return gap, np.log(second) - np.log(c), 2 * top[:, 0] + np.log(second)


@lru_cache(maxsize=8)
def simulate(seed: int, samples: int, length: float = LENGTH) -> Scalar:
    """Means over independent runs with their standard errors."""
    rng = np.random.default_rng(seed)
    parts = [_runs(rng, min(_CHUNK, samples - start), length) for start in range(0, samples, _CHUNK)]
    gaps, ratios, fourths = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Scalar(
        Estimate.from_samples(gaps, unit="loss"),
        Estimate.from_samples(ratios),
        Estimate.from_samples(fourths),
        float(np.minimum(ratios, _MOST).mean()),
    )


def printed(found: Scalar) -> Estimate:
    """sqrt((R²/N) E[log(G² + C) - log C]), R = 1/2: the order of expectation and logarithm that is printed."""
    return _bound(found.ratio)


def repaired(found: Scalar, length: float = LENGTH) -> Estimate:
    """sqrt((R²/N) {log E[G² + C] - E log C}) with E(G² + C) = E h⁴ = (e^{2l} - 1) / 2l in closed form."""
    shift = 2 * length + math.log(-math.expm1(-2 * length) / (2 * length))
    nats = shift - found.fourth.value + found.ratio.value
    return _bound(Estimate(nats, math.hypot(found.fourth.stderr, found.ratio.stderr), found.ratio.samples, "unbiased"))


def _bound(nats: Estimate) -> Estimate:
    value = math.sqrt(0.25 / N * nats.value)
    return Estimate(value, 0.25 / N * nats.stderr / (2 * value), nats.samples, "unbiased", "loss")


def _half_width(samples: int, span: float) -> float:
    """Hoeffding: the mean of independent numbers from an interval of that length is off by more with chance `RISK`."""
    return span * math.sqrt(math.log(1 / RISK) / (2 * samples))


def tail(most: float = _MOST, length: float = LENGTH) -> float:
    """An upper bound on E[(log(1 + G²/C) - most)⁺].

    Above t, C < ε² G² with ε² = 1/(e^t - 1), hence |h_i² - G| ≤ sqrt(N) ε G for all i, and the log h² lie within
    r = log((1 + sqrt(N) ε)/(1 - sqrt(N) ε)) of one another, which N uniform numbers do with probability at most
    N (r/l)^{N-1}. The integral over t by the upper sum of steps of 1/64: the bound falls in t.
    """
    steps = most + np.arange(64 * 40) / 64
    close = math.sqrt(N) / np.sqrt(np.expm1(steps))
    ranges = np.log((1 + close) / (1 - close))
    beyond = N * (math.sqrt(N) * 4 / length) ** (N - 1) * math.exp(-2 * (N - 1) * 10)  # r ≤ 4 sqrt(N) e^{-t/2} there
    return float(N * ((ranges / length) ** (N - 1)).sum() / 64 + beyond)


def certified_gap(case: Case) -> float:
    """A number below the gap with probability 1 - 1e-9: every run's part lies in [-3/50, 1]."""
    found = simulate(case.seed, case.samples)
    return found.gap.value - _half_width(case.samples, 1 + WIDTH / LENGTH)


def certified_bound(case: Case) -> float:
    """A number above the printed bound with probability 1 - 1e-9."""
    found = simulate(case.seed, case.samples)
    nats = found.cut_ratio + _half_width(case.samples, _MOST) + tail()
    return math.sqrt(0.25 / N * nats)
