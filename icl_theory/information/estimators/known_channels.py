"""Channels whose mutual information is known: in closed form, or by quadrature of one scalar density."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma, gammaln, log_ndtr

from icl_theory.core import checks

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray, np.ndarray]]
Law = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
LOG_2PI = float(np.log(2 * np.pi))
_GRID = 40_001
_TAIL = 40.0  # scales of an exponential tail, 40 of them being below rounding
_OBSERVATIONS = 3
# Nats per coordinate: binary stays below log 2; beyond, quadrature and heavy tails are not trusted.
_MOST_NATS = {
    "binary": 0.95 * float(np.log(2)),
    "uniform": 4.0,
    "laplace": 4.0,
    "exponential": 4.0,
    "inverse_wishart": 1.0,
}


def _positive_root(function: Callable[[float], float], low: float, high: float) -> float:
    """x > 0 with f(x) = 0, sought between e^low and e^high."""
    root: Any = brentq(lambda log_x: function(float(np.exp(log_x))), low, high, xtol=1e-13)
    return float(np.exp(root))


@dataclass(frozen=True)
class KnownChannel:
    """A channel w | H with a known density and a known I(w; H)."""

    family: str
    """One of FAMILIES."""
    dimension: int
    """d of the output."""
    information: float
    """I(w; H) in nats."""
    draw: Draw
    """(rng, K) → inputs (K, ·) and outputs (K, d) as they are observed, log p(w_i | H_j) (K, K)."""
    continuous: bool = True
    """Whether the input is the mean m and has a density, so that a nearest-neighbour estimate makes sense."""

    @property
    def name(self) -> str:
        """Family, dimension and nats."""
        return f"{self.family}, d = {self.dimension}, {self.information:g} nats"


def _location(
    law: Callable[[np.random.Generator, tuple[int, int]], np.ndarray], dimension: int, observations: int = 1
) -> Draw:
    """w = m + n with n ~ N(0, I), or the mean of several such observations: N(m, I / n)."""

    def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        means = law(rng, (count, dimension))
        outputs = means[:, None] + rng.standard_normal((count, observations, dimension))
        total = outputs.sum(axis=1)
        # Σ over observations of |w - m|² = Σ |w|² - 2 m·Σw + n |m|²
        level = (outputs**2).sum(axis=(1, 2))[:, None] + observations * (means**2).sum(axis=1)
        return means, total / observations, -0.5 * (level - 2 * total @ means.T + observations * dimension * LOG_2PI)

    return draw


def gaussian(dimension: int, information: float) -> KnownChannel:
    """m ~ N(0, s I): I = (d/2) log(1 + s)."""
    signal = np.sqrt(np.expm1(2 * information / dimension))
    draw = _location(lambda rng, shape: signal * rng.standard_normal(shape), dimension)
    return KnownChannel("gaussian", dimension, information, draw)


def anisotropic(dimension: int, information: float) -> KnownChannel:
    """m ~ N(0, diag(s_i)), the s_i a geometric sequence over three decades: I = ½ Σ log(1 + s_i)."""
    shape = 10.0 ** -np.linspace(0, 3, dimension)
    level = _positive_root(lambda a: 0.5 * np.log1p(a * shape).sum() - information, -30, 200)
    signal = np.sqrt(level * shape)
    draw = _location(lambda rng, size: signal * rng.standard_normal(size), dimension)
    return KnownChannel("anisotropic", dimension, information, draw)


def observations(dimension: int, information: float) -> KnownChannel:
    """Three independent observations of m ~ N(0, s I): I = (d/2) log(1 + 3 s)."""
    signal = np.sqrt(np.expm1(2 * information / dimension) / _OBSERVATIONS)
    draw = _location(lambda rng, shape: signal * rng.standard_normal(shape), dimension, _OBSERVATIONS)
    return KnownChannel("observations", dimension, information, draw)


def mapped(dimension: int, information: float) -> KnownChannel:
    """The Gaussian channel with input and output observed through t ↦ t³, entry by entry: the same I.

    log p(w³ | H) = log p(w | H) - Σ log 3w²: the Jacobian is the same for all H_j, so the sandwich cannot change;
    a nearest-neighbour estimate does.
    """
    inner = gaussian(dimension, information).draw

    def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        means, outputs, log_p = inner(rng, count)
        jacobian = np.log(3 * outputs**2).sum(axis=1)
        return means**3, outputs**3, log_p - jacobian[:, None]

    return KnownChannel("mapped", dimension, information, draw)


# Each law is a monotone map of a normal z applied *before* the noise: a law of m with scale a, and log p of m + n.
def _binary(w: np.ndarray, a: float) -> np.ndarray:
    return np.logaddexp(-0.5 * (w - a) ** 2, -0.5 * (w + a) ** 2) - 0.5 * LOG_2PI - np.log(2)


def _uniform(w: np.ndarray, a: float) -> np.ndarray:
    high, low = log_ndtr(a - np.abs(w)), log_ndtr(-a - np.abs(w))
    return high + np.log1p(-np.exp(low - high)) - np.log(2 * a)


def _exponential(w: np.ndarray, a: float) -> np.ndarray:
    return 0.5 / a**2 - w / a + log_ndtr(w - 1 / a) - np.log(a)


def _laplace(w: np.ndarray, a: float) -> np.ndarray:
    return np.logaddexp(_exponential(w, a), _exponential(-w, a)) - np.log(2)


LAWS: dict[str, tuple[Callable, Callable, float]] = {
    "binary": (_binary, lambda rng, shape: rng.choice([-1.0, 1.0], shape), 1.0),
    "uniform": (_uniform, lambda rng, shape: rng.uniform(-1.0, 1.0, shape), 1.0),
    "laplace": (_laplace, lambda rng, shape: rng.laplace(size=shape), _TAIL),
    "exponential": (_exponential, lambda rng, shape: rng.exponential(size=shape), _TAIL),
}
"""log p(w) for a scale a, draws at scale 1, and how many scales the density reaches."""


def scalar_information(law: str, scale: float) -> float:
    """I = h(w) - ½ log(2πe) of w = m + n in nats, -∫ p log p by the trapezoidal rule (spectrally exact here)."""
    density, _, reach = LAWS[law]
    w = np.linspace(-reach * scale - 12, reach * scale + 12, _GRID)
    log_p = density(w, scale)
    p = np.exp(log_p)
    return float(-(p * np.where(p > 0, log_p, 0.0)).sum() * (w[1] - w[0]) - 0.5 * (LOG_2PI + 1))


@cache
def _scale(law: str, information: float) -> float:
    """The scale at which one coordinate carries that much."""
    return _positive_root(lambda a: scalar_information(law, a) - information, -6, 8)


def scalar_law(law: str) -> Callable[[int, float], KnownChannel]:
    """d independent coordinates m_i of that law: I = d I_1; binary ones carry at most log 2 each."""

    def channel(dimension: int, information: float) -> KnownChannel:
        scale, sample = _scale(law, information / dimension), LAWS[law][1]
        draw = _location(lambda rng, shape: scale * sample(rng, shape), dimension)
        return KnownChannel(law, dimension, information, draw, continuous=law != "binary")

    return channel


def variance_information(dimension: int, freedom: float) -> float:
    """I(w; Σ) for Σ ~ InverseWishart(ν, I) and w | Σ ~ N(0, Σ), in nats: the entropy of a t law minus a mean one."""
    d, tail = dimension, freedom - dimension + 1
    entropy = gammaln(tail / 2) - gammaln((tail + d) / 2) + d / 2 * np.log(np.pi)  # scale I/tail: tail^d cancels
    entropy += (tail + d) / 2 * (digamma((tail + d) / 2) - digamma(tail / 2))
    log_det = -digamma((freedom - np.arange(d)) / 2).sum() - d * np.log(2)
    return float(entropy - 0.5 * (d * (LOG_2PI + 1) + log_det))


def inverse_wishart(dimension: int, information: float) -> KnownChannel:
    """Σ ~ InverseWishart(ν, I), m | Σ ~ N(0, Σ/κ), w | m, Σ ~ N(m, Σ): I = I(w; Σ at κ = ∞) + (d/2) log(1 + 1/κ).

    Both mean and covariance depend on the input, as in the noisy trajectory; each carries half of the information.
    """
    span = _positive_root(lambda a: variance_information(dimension, dimension - 1 + a) - information / 2, -6, 20)
    freedom = dimension - 1 + span
    spread = np.sqrt(np.expm1(information / dimension))

    def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        d = dimension
        factor = np.tril(rng.standard_normal((count, d, d)), -1)  # Bartlett: Σ^{-1} = A Aᵀ
        factor[:, np.arange(d), np.arange(d)] = np.sqrt(rng.chisquare(freedom - np.arange(d), (count, d)))
        root = np.linalg.inv(factor).swapaxes(1, 2)  # Σ = root rootᵀ
        means = spread * np.einsum("kde,ke->kd", root, rng.standard_normal((count, d)))
        outputs = means + np.einsum("kde,ke->kd", root, rng.standard_normal((count, d)))
        volume = np.log(factor[:, np.arange(d), np.arange(d)]).sum(axis=1)
        white = np.einsum("jde,ijd->ije", factor, outputs[:, None] - means[None], optimize=True)
        inputs = np.concatenate([means, root.reshape(count, -1)], axis=1)
        return inputs, outputs, volume - 0.5 * ((white**2).sum(axis=-1) + d * LOG_2PI)

    return KnownChannel("inverse_wishart", dimension, information, draw, continuous=False)


FAMILIES: dict[str, Callable[[int, float], KnownChannel]] = {
    "gaussian": gaussian,
    "anisotropic": anisotropic,
    "observations": observations,
    "mapped": mapped,
    **{law: scalar_law(law) for law in LAWS},
    "inverse_wishart": inverse_wishart,
}


def known_channels(
    families: Sequence[str], dimensions: Sequence[int], informations: Sequence[float]
) -> list[KnownChannel]:
    """Every combination that exists: a coordinate of a scalar law carries a limited information (binary: below
    log 2, see _MOST_NATS), and one coordinate has no anisotropy.

    Args:
        families: of FAMILIES.
        dimensions: d.
        informations: nats, above 0.

    Raises: ValueError for an unknown family, a dimension below 1 or an information that is not positive.
    """
    channels = []
    for family in families:
        checks.choice("family", family, tuple(FAMILIES))
        for dimension in dimensions:
            dimension = checks.integer("dimension", dimension, 1, None, "an output has at least one entry")
            for nats in informations:
                nats = checks.number("information", nats, low=0.0, strict=True, hint="pass nats above 0")
                full = nats > dimension * _MOST_NATS.get(family, np.inf)
                if not full and not (family == "anisotropic" and dimension == 1):
                    channels.append(FAMILIES[family](dimension, nats))
    return channels
