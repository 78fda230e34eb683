"""How far the noise of a subset is from Gaussian: Mardia's and Henze and Zirkler's statistics, Q-Q data, kurtosis.

All of them are affine invariant. With invertible weights they are therefore those of the symmetric coordinates of
h hᵀ, whatever the weights are; truncated weights give a projection of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import betainc, betaincinv

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key, generator
from icl_theory.core.results import Result
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.checked import checked_linear
from icl_theory.models.model import Model
from icl_theory.noise.covariance import layer_factors
from icl_theory.noise.normality_tests import NormalityTest, statistics_of, whitened
from icl_theory.noise.support_points import support_points, token_span

_BLOCK_ENTRIES = 2**22
"""Most numbers of subset means held at a time."""


@fields_in_help
@dataclass(frozen=True, repr=False)
class NormalityRecord(Result):
    """The audit of subset means of b out of N gradients.

    Example:
        >>> import numpy as np
        >>> from icl_theory import normality_audit, random_weights
        >>> tokens = np.random.default_rng(0).standard_normal((12, 2))
        >>> model = random_weights(0, layers=1, token_dim=2)
        >>> record = normality_audit(model, tokens, shots=[6], samples=50)[0]
        >>> record.dimension, record.demonstrations, record.distances.shape
        (3, 12, (50,))
    """

    shots: int
    """b."""
    demonstrations: int
    """N."""
    samples: int
    """n, subsets drawn."""
    dimension: int
    """d, the rank of C_t: d_S, or N - 1 where that is less."""
    skewness: NormalityTest
    """Mardia's skewness."""
    kurtosis: NormalityTest
    """Mardia's kurtosis."""
    henze_zirkler: NormalityTest
    """Henze and Zirkler's statistic."""
    exact_kurtosis: float
    """E (zᵀ C⁻¹ z)² of the subset mean itself, no sample; d(d+2) if it were Gaussian."""
    distance: float
    """Kolmogorov distance between the squared Mahalanobis distances and their law for Gaussian samples."""
    distances: np.ndarray = field(repr=False)
    """Squared Mahalanobis distances of the sample, ascending, shape (n,)."""
    quantiles: np.ndarray = field(repr=False)
    """The Gaussian sample's quantiles to plot them against, shape (n,)."""

    @property
    def excess(self) -> float:
        """exact_kurtosis / (d(d+2)) - 1: 0 for a Gaussian."""
        return self.exact_kurtosis / (self.dimension * (self.dimension + 2)) - 1


def mahalanobis_quantiles(samples: int, dimension: int) -> np.ndarray:
    """Quantiles at (i - ½)/n of |z|², z one of n Gaussian points whitened together: (n - 1) Beta(d/2, (n-d-1)/2)."""
    levels = (np.arange(samples) + 0.5) / samples
    return (samples - 1) * betaincinv(dimension / 2, (samples - dimension - 1) / 2, levels)


def subset_kurtosis(points: Any, shots: int) -> float:
    """E (x̄ᵀ C⁻¹ x̄)² of the centred mean x̄ of b of N points without replacement, C its covariance; exact.

    With whitened points x_i of rank d, p_k = b(b-1)...(b-k+1) / (N(N-1)...(N-k+1)), Q = Σ |x_i|⁴, g = N²d(d+2) and
    φ = (N-b)/(b(N-1)), the variance of x̄, it is

        [p₁ Q + p₂ (g - 7Q) + p₃ (12Q - 2g) + p₄ (g - 6Q)] / (b⁴ φ²).

    The excess over d(d+2) falls like 1/b while b is far below N, and is the same for b and N - b: the mean of the
    tokens left out is the same noise, with another sign and scale.

    Args:
        points: shape (N, ·), N ≥ 2; only their span counts.
        shots: b in 1..N-1.

    Raises: ValueError for shapes, NaN or shots out of range.
    Source: new; inclusion probabilities of random subsets.
    """
    points = checks.array("points", points, (None, None), "pass one point per row")
    shots = checks.integer("shots", shots, 1, len(points) - 1, "show at least one and not all")
    return _population_kurtosis(whitened(points), shots)


def _population_kurtosis(x: np.ndarray, shots: int) -> float:
    count, d = x.shape
    fourth, gaussian = float(((x**2).sum(axis=1) ** 2).sum()), count**2 * d * (d + 2)
    steps = np.arange(4)
    # (b - k) vanishes from k = b on, and with it every later probability; N - k is then not needed.
    ratio = np.where(count > steps, (shots - steps) / np.where(count > steps, count - steps, 1), 0.0)
    p = np.cumprod(ratio)
    total = p[0] * fourth + p[1] * (gaussian - 7 * fourth)
    total += p[2] * (12 * fourth - 2 * gaussian) + p[3] * (gaussian - 6 * fourth)
    variance = (count - shots) / (shots * (count - 1))
    return float(total / (shots**2 * variance) ** 2)


def _subset_means(points: np.ndarray, shots: int, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Means of `samples` random subsets, shape (samples, d)."""
    size = max(1, _BLOCK_ENTRIES // (len(points) * max(1, points.shape[1])))
    parts = []
    for start in range(0, samples, size):
        order = rng.random((min(size, samples - start), len(points))).argsort(axis=1)
        parts.append(points[order[:, :shots]].mean(axis=1))
    return np.concatenate(parts)


def normality_audit(
    model: Model,
    tokens: Any,
    *,
    shots: Sequence[int],
    samples: int,
    key: Key = 0,
    layer: int = 0,
) -> tuple[NormalityRecord, ...]:
    """Tests whether the mean gradient of b out of N demonstrations is Gaussian, for every b given.

    Subsets are drawn without replacement at fixed demonstrations and fixed M = I + W_{t-1} of the noise-free
    trajectory, in orthonormal coordinates of the support V_t of dimension d_S. A test reports whether n samples can
    show the difference, `exact_kurtosis` and `distance` how large it is.

    Args:
        model: a single model: linear attention over all demonstrations, mean normalization, a linear MLP or none.
        tokens: the demonstrations, shape (N, D).
        shots: numbers b, each from 1 to N - 1.
        samples: n subsets, more than d_S + 2.
        key: a jax.random.key or a whole number.
        layer: counted from 0.

    Returns: one `NormalityRecord` per b.
    Raises: ValueError for shapes, NaN, shots or layer out of range, too few samples, or weights without any noise.
    Source: Y Assumption 1 (arXiv:2406.03768v2); Mardia 1970, Henze and Zirkler 1990.

    Example:
        >>> import numpy as np
        >>> from icl_theory import normality_audit, random_weights
        >>> tokens = np.random.default_rng(0).standard_normal((40, 2))
        >>> model = random_weights(0, layers=1, token_dim=2)
        >>> few, many = normality_audit(model, tokens, shots=[2, 20], samples=200)
        >>> abs(many.excess) < abs(few.excess)
        True
    """
    tokens = checks.array("tokens", tokens, (None, None), "pass one token per row")
    model = checked_linear(model, tokens.shape[1], "the noise")
    layer = checks.integer("layer", layer, 0, model.layers - 1, "layers are counted from 0")
    chosen = [checks.integer("shots", b, 1, len(tokens) - 1, "show at least one and not all") for b in shots]
    accumulated = implicit_trajectory(model, tokens).accumulated[layer]
    m, factors = np.eye(len(accumulated)) + accumulated, layer_factors(model, layer, accumulated)
    coordinates, features = support_points(model, layer, m, token_span(tokens), factors)[:2]
    # Affine invariance: where the map of the weights is invertible, its image need not be formed.
    population = whitened(coordinates if features is None else features)
    if not population.shape[1]:
        raise checks.error("weights", "gradients that do not vary", "some noise", "use weights that read the tokens")
    samples = checks.integer("samples", samples, population.shape[1] + 3, None, "draw more than the dimension d_S")
    rng = generator(key)
    return tuple(_record(population, b, samples, rng) for b in chosen)


def _record(population: np.ndarray, shots: int, samples: int, rng: np.random.Generator) -> NormalityRecord:
    count, d = population.shape
    z = whitened(_subset_means(population, shots, samples, rng))
    if z.shape[1] < d:
        got = f"{samples} subsets that span {z.shape[1]} of {d} dimensions"
        raise checks.error("samples", got, "all of them", "draw more subsets")
    skewness, kurtosis, distance = statistics_of(z)
    squares = np.sort((z**2).sum(axis=1))
    law = betainc(d / 2, (samples - d - 1) / 2, squares / (samples - 1))
    rank = np.arange(samples + 1) / samples
    gap = float(max((law - rank[:-1]).max(), (rank[1:] - law).max()))
    quantiles = mahalanobis_quantiles(samples, d)
    exact = _population_kurtosis(population, shots)
    return NormalityRecord(shots, count, samples, d, skewness, kurtosis, distance, exact, gap, squares, quantiles)
