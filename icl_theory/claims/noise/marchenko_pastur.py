"""Few demonstrations per dimension: what the sample covariance of the noise loses is Marchenko and Pastur's number."""

import math
from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.core.estimate import Estimate
from icl_theory.core.symmetric import outer_coordinates

_DIMS, _RATIO = {8: 1600, 16: 800}, 3
"""Runs at every D of the tokens, d_S = 36 and 136, and N/d_S."""


@lru_cache(maxsize=64)
def losses(case: Case, dim: int) -> Estimate:
    """$(1/d_S)(log det E C_X - log det C_X)$ of white tokens, in the mean over sets of N = 3 d_S of them."""
    rng = np.random.default_rng([case.seed, dim])
    width = dim * (dim + 1) // 2
    values = []
    for _ in range(_DIMS[dim]):
        features = outer_coordinates(rng.standard_normal((_RATIO * width, dim)))
        values.append(-np.linalg.slogdet(np.cov(features.T, bias=True))[1] / width)
    # Cov(svec h hᵀ) of a white h is 2 I: in orthonormal coordinates E x_ij² = 2 for i < j as for i = j.
    return Estimate.from_samples(np.array(values) + np.log(2.0), unit="nats")


def limit(ratio: float) -> float:
    """$1 + (γ - 1) log(1 - 1/γ)$, minus the mean of log λ under Marchenko and Pastur's law."""
    return 1 + (ratio - 1) * np.log(1 - 1 / ratio)


def distance(case: Case, formula: float = limit(_RATIO)) -> Estimate:
    """Relative distance of the loss from the limit, without its part that falls like 1/D: 2 loss(16) - loss(8)."""
    small, large = (losses(case, dim) for dim in _DIMS)
    value, error = 2 * large.value - small.value, math.hypot(2 * large.stderr, small.stderr)
    return Estimate(abs(value / formula - 1), error / formula, large.samples, "unbiased", "share")


CLAIM = Claim(
    source="new for the noise of gradients; Marchenko and Pastur 1967",
    statement="For $N/d_S → γ$ the mean of $(1/d_S) log det$ of the sampling covariance tends to that of its "
    "expectation less $1 + (γ - 1) log(1 - 1/γ)$, for large $D$.",
    origin="new",
    relation="at most",
    measure=distance,
    predict=lambda case: 0.25,
    explanation="White tokens with $N = 3 d_S$. The features $svec(h hᵀ)$ have dependent entries with heavy tails, so "
    "that the law of independent entries need not be theirs. The excess over the limit falls like $1/D$: $D$ = 8 and "
    "16 are extrapolated, to within a quarter. It is what a Gaussian rung pays where demonstrations are few. "
    "Dimensions and margin were chosen on one seed.",
    requires=("cases of its own",),
    controls=(
        Control("the limit of $γ = 2$", measure=lambda case: distance(case, limit(2.0))),
        Control(
            "$½ / γ$, the first term of its expansion, at half its size", measure=lambda c: distance(c, 0.25 / _RATIO)
        ),
    ),
    cases=lambda factory: factory.random(1)[:1],
)
