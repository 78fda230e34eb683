"""Theorem 2 as printed at D = 1, the one case in which its hypothesis can hold: a measured counterexample."""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.core.estimate import Estimate
from icl_theory.models.model import Model
from icl_theory.tasks.linear_regression import LinearRegression

N, SCALE, WIDTH = 5, 50.0, 5.0  # demonstrations (b = 1 shown), scale of log h², width of the loss's window
_CHUNK = 200_000


def _runs(rng: np.random.Generator, count: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Gap and E-log ratio of `count` runs; h² spans hundreds of decades, so everything is relative to the largest.

    With all weights 1 and b = 1: G = mean h², C = mean h⁴ - G² (the factor (N-b)/(b(N-1)) is 1), W = G + sqrt(C) n.
    """
    log_h2 = rng.exponential(scale, (count, N))
    top = log_h2.max(axis=1, keepdims=True)
    relative = np.exp(log_h2 - top)
    g, second = relative.mean(axis=1), (relative**2).mean(axis=1)
    c = ((relative - g[:, None]) ** 2).mean(axis=1)
    w = g + np.sqrt(c) * rng.standard_normal(count)
    log_w = top[:, 0] + np.log(np.abs(w))
    inside = (log_h2 > log_w[:, None]) & (log_h2 < log_w[:, None] + WIDTH)
    # Population: log h² is exponential, so its chance to fall into the window (log|w|, log|w| + 5) is closed form.
    low, high = np.where(log_w > 0, log_w, 0.0), np.where(log_w + WIDTH > 0, log_w + WIDTH, 0.0)
    chance = np.exp(-low / scale) - np.exp(-high / scale)
    return inside.mean(axis=1) - chance, np.log(second) - np.log(c)


@lru_cache(maxsize=8)
def simulate(seed: int, samples: int, scale: float = SCALE) -> tuple[Estimate, Estimate]:
    """Measured gap and printed bound sqrt((R²/N) E[log(G² + C) - log C]), R = 1/2, with their standard errors."""
    rng = np.random.default_rng(seed)
    parts = [_runs(rng, min(_CHUNK, samples - start), scale) for start in range(0, samples, _CHUNK)]
    gaps, logs = (np.concatenate(column) for column in zip(*parts, strict=True))
    inside = Estimate.from_samples(logs)
    bound = math.sqrt(0.25 / N * inside.value)
    error = 0.25 / N * inside.stderr / (2 * bound)  # delta method
    return Estimate.from_samples(gaps, unit="loss"), Estimate(bound, error, samples, "unbiased", "loss")


def cases(factory: CaseFactory) -> list[Case]:
    """The same one-dimensional model under several seeds."""
    one = np.ones((1, 1, 1))
    model, task = Model(one, one, one), LinearRegression(1)
    empty = np.zeros(1)
    return [
        Case(
            f"D = 1, seed {i}",
            "constructed",
            1000 * factory.seed + i,
            model,
            task,
            empty,
            np.ones((N, 1)),
            1,
            factory.profile.scalar_samples,
        )
        for i in range(2)
    ]


def _gap(case: Case) -> Estimate:
    """$E[L_μ(W) - L_{H_s}(W)]$ over the runs, with its standard error."""
    return simulate(case.seed, case.samples)[0]


def _bound(case: Case) -> Estimate:
    """The printed right side, its expectation a mean over the same runs."""
    return simulate(case.seed, case.samples)[1]


def _raised(case: Case) -> Estimate:
    return replace(_bound(case), value=1.5 * _bound(case).value, stderr=1.5 * _bound(case).stderr)


CLAIM = Claim(
    source="Y Theorem 2 at $D = 1$, arXiv:2406.03768v2",
    statement="$gap ≤ sqrt((R²/N) E[log(||ΔW||² + C) - log C])$ at $D = 1$, where $C > 0$ can hold.",
    origin="paper",
    relation="at most",
    measure=_gap,
    predict=_bound,
    trivial=lambda case: 1.0,
    explanation="$log h²$ is exponential with scale 50, $N = 5$, $b = 1$, loss 0 in a window of width 5 above $log|w|$ "
    "and 1 elsewhere. The printed order of expectation and logarithm makes the right side smaller than what the proof "
    "gives. With the expectation inside, $E h⁴$ is infinite here and the bound says nothing.",
    controls=(
        Control(
            "tame data, $log h²$ of scale 0.1",
            measure=lambda c: simulate(c.seed, c.samples, 0.1)[0],
            predict=lambda c: simulate(c.seed, c.samples, 0.1)[1],
            expected=Verdict.HOLDS,
        ),
        Control(
            "expectation inside the logarithm (+inf)",
            predict=lambda c: Estimate(float("inf"), note="$E h⁴ = +inf$"),
            expected=Verdict.VACUOUS,
        ),
        Control("printed bound raised by half", predict=lambda case: _raised(case)),
        Control(
            "tame data, gap and bound exchanged",
            measure=lambda c: simulate(c.seed, c.samples, 0.1)[1],
            predict=lambda c: simulate(c.seed, c.samples, 0.1)[0],
        ),
    ),
    cases=cases,
)
