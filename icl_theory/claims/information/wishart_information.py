"""What S tells of a single demonstration: a difference of Wishart entropies, finite without any noise."""

import math

import numpy as np
from scipy.special import gammaln, psi

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.information.forward_pass.single_token import second_moment_information


def settings(case: Case) -> list[tuple[int, int]]:
    """(N, D), six pairs with D up to 8 and N up to 60 above it."""
    rng = np.random.default_rng(case.seed)
    return [(int(d + 1 + rng.integers(60)), int(d)) for d in rng.integers(1, 9, size=6)]


def measure(case: Case) -> np.ndarray:
    """$I(S; h_1)$ of the library."""
    return np.array([second_moment_information(n, d) for n, d in settings(case)])


def entropy(n: int, covariance: np.ndarray) -> float:
    """h of a Wishart matrix of n tokens: -log density, E log det T and E tr Σ^{-1}T = n D put in."""
    d = len(covariance)
    volume = np.linalg.slogdet(covariance)[1]
    i = np.arange(d)
    gamma = d * (d - 1) / 4 * math.log(math.pi) + gammaln((n - i) / 2).sum()
    log_det = psi((n - i) / 2).sum() + d * math.log(2) + volume
    normaliser = n * d / 2 * math.log(2) + n / 2 * volume + gamma
    return float(normaliser - (n - d - 1) / 2 * log_det + n * d / 2)


def predict(case: Case, less: int = 1) -> np.ndarray:
    """$h(T_N) - h(T_{N-1})$ with tokens of a random covariance, which drops out."""
    rng, found = np.random.default_rng(case.seed + 1), []
    for n, d in settings(case):
        root = rng.standard_normal((d, d)) + 2 * np.eye(d)
        found.append(entropy(n, root @ root.T) - entropy(n - less, root @ root.T) if n - less >= d else math.inf)
    return np.array(found)


CLAIM = Claim(
    source="new; with Bu, Zou, Veeravalli 2020, arXiv:1901.04609v3, a bound for the forward pass",
    statement="$I(S; h_1) = h(T_N) - h(T_{N-1})$ with $T_N = Σ h hᵀ$ Wishart: finite for $N > D$, independent of the "
    "covariance, about $D(D+1)/(4N)$.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="$T_N$ given $h_1$ is $T_{N-1}$ moved by $h_1 h_1ᵀ$. The library's form, in which large numbers have "
    "cancelled, against entropies written out from the Wishart density.",
    requires=("cases of its own",),
    controls=(
        Control("two demonstrations", predict=lambda case: np.minimum(predict(case, 2), 1e6)),
        Control(
            "$D(D+1)/(4N)$ at every $N$", predict=lambda c: np.array([d * (d + 1) / (4 * n) for n, d in settings(c)])
        ),
        Control("off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
    cases=lambda factory: factory.random(1),
    tolerance=1e-8,
)
