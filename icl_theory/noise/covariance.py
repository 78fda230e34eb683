"""Implicit-gradient noise: per-demonstration gradients in factored form and their sampling covariance."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key, generator, transpose
from icl_theory.core.ranks import Precision, possible_precisions, unit_of
from icl_theory.core.results import Result
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.checked import checked_linear
from icl_theory.models.model import Model
from icl_theory.noise.gradient_rows import CLEARLY, centred_values, clear_count, log_squares
from icl_theory.noise.support_points import covariance_rank, span_structure, support_points, token_span


def sampling_factor(demonstrations: int, shots: int) -> float:
    """(N - b) / (b (N - 1)): variance of a mean of b out of N without replacement, in units of the variance."""
    return (demonstrations - shots) / (shots * (demonstrations - 1))


@fields_in_help
@dataclass(frozen=True, repr=False)
class NoiseCovariance(Result):
    """C = (N-b)/(b(N-1)) [(1/N) Σ vec g_i vec g_iᵀ - vec G vec Gᵀ] with gradients g_i = Σ_heads a_i b_iᵀ, unbuilt.

    vec stacks rows, as `numpy.ravel` does. Nothing here makes a D² x D² array except `dense`.
    Source: Y Assumption 1 and App. C.4 (arXiv:2406.03768v2); the factored form is new.

    Example:
        >>> import numpy as np
        >>> from icl_theory import gradient_noise, random_weights
        >>> tokens = np.random.default_rng(0).standard_normal((12, 3))
        >>> noise = gradient_noise(random_weights(0, layers=1, token_dim=3), tokens, shots=4)
        >>> noise.rank, bool(np.isclose(noise.trace, np.trace(noise.dense())))
        (6, True)
    """

    left: np.ndarray
    """a_i = W_V M h_i, shape (N, D), or (N, heads, D)."""
    right: np.ndarray
    """b_i = Mᵀ W_Qᵀ W_K M h_i, shape as `left`."""
    shots: int
    """b, the number of demonstrations shown."""
    coordinates: np.ndarray | None = None
    """Orthonormal coordinates of the g_i on the support, shape (N, d_S), where that is cheaper."""
    features: np.ndarray | None = None
    """svec(h_i h_iᵀ) where `coordinates` are an invertible image P of them, shape (N, d_S); else None."""
    log_volume: float = 0.0
    """log |det P| of that map."""
    doubt: float = 0.0
    """An estimate of the error of `log_volume`."""
    known_rank: int | None = None
    """rank C as the weights and the tokens have it; None where only the numbers can say it."""

    @property
    def factor(self) -> float:
        """(N - b) / (b (N - 1))."""
        return sampling_factor(len(self.left), self.shots)

    @cached_property
    def spectrum(self) -> np.ndarray:
        """The nonzero eigenvalues of C, descending, shape (rank,).

        From the d_S coordinates of the support, or from `centred_squares` of the factors where N is smaller.
        """
        count = len(self.left)
        if self.shots == count:
            return np.zeros(0)
        return self.factor / count * self._values[0][: self.rank] ** 2

    @cached_property
    def _values(self) -> tuple[np.ndarray, float]:
        """Singular values of the centred gradients, descending, and the norm of all gradients together."""
        if self.coordinates is None:
            return centred_values(_by_head(self.left), _by_head(self.right))
        size = float(np.linalg.norm(self.coordinates, 2)) if self.coordinates.size else 0.0
        return np.linalg.svd(self.coordinates - self.coordinates.mean(axis=0), compute_uv=False), size

    @cached_property
    def rank(self) -> int:
        """rank C: at most min(N - 1, d_S), hence below D² for D ≥ 2. Raises: ValueError where it is in doubt."""
        if self.shots == len(self.left):
            return 0
        if self.known_rank is not None:
            return self.known_rank
        return clear_count("the covariance of the gradients", *self._values, self.left.shape)

    @cached_property
    def trace(self) -> float:
        """tr C = (N-b)/(b(N-1)) [(1/N) Σ |a_i|² |b_i|² - |G|_F²]."""
        if self.coordinates is None:
            return float(self.spectrum.sum())
        return float(self.factor * self.coordinates.var(axis=0).sum())

    @cached_property
    def log_pseudo_determinant(self) -> float:
        """Σ log λ over the nonzero eigenvalues of C; 0 for C = 0. Unit: nats (a log of a squared-gradient volume).

        Raises: ValueError where ill-conditioned weights leave fewer than nine of its digits.
        """
        if self.rank == 0:
            return 0.0
        shift, (values, size), doubt = 0.0, self._values, 0.0
        if self.features is not None and self.rank == self.features.shape[1]:
            values = np.linalg.svd(self.features - self.features.mean(axis=0), compute_uv=False)
            size, shift, doubt = float(np.linalg.norm(self.features, 2)), 2 * self.log_volume, 2 * self.doubt
        scale = self.rank * np.log(self.factor / len(self.left))
        return log_squares(values[: self.rank], size, scale + shift, doubt)

    def log_determinant(self, floor: float, dimension: int | None = None) -> float:
        """log det(C + ε² I) on a space of the given dimension that contains the support.

        Args:
            floor: ε² ≥ 0; with 0 the result is -inf wherever C is singular on that space.
            dimension: of the space; D² (all matrices) if None, d_S for the support.

        Raises: ValueError for a negative floor or a dimension below the rank.
        """
        floor = checks.number("floor", floor, low=0.0, hint="pass a noise variance of 0 or more")
        full = self.left.shape[-1] * self.right.shape[-1]
        size = full if dimension is None else dimension
        size = checks.integer("dimension", size, self.rank, full, "a space must contain the support")
        if floor == 0:
            return self.log_pseudo_determinant if self.rank == size else -np.inf
        # ε² can be far above some eigenvalues and far below others: add first, then take the logarithm.
        return float(np.log(self.spectrum + floor).sum() + (size - self.rank) * np.log(floor))

    def dense(self) -> np.ndarray:
        """C itself, shape (D², D²): for small D and for tests."""
        gradients = np.einsum("hni,hnj->nij", _by_head(self.left), _by_head(self.right)).reshape(len(self.left), -1)
        centred = gradients - gradients.mean(axis=0)
        return self.factor / len(self.left) * centred.T @ centred

    def sample(self, key: Key, n: int) -> np.ndarray:
        """n draws of C^{1/2} n_t with vec-covariance exactly C, shape (n, D, D): a random mix of the centred g_i.

        Args:
            key: a jax.random.key or a whole number.
            n: number of draws.

        Raises: ValueError for n < 1.
        """
        n = checks.integer("n", n, 1, None, "draw at least one sample")
        mix = generator(key).standard_normal((n, len(self.left)))
        mix = (mix - mix.mean(axis=1, keepdims=True)) * np.sqrt(self.factor / len(self.left))
        heads = zip(_by_head(self.left), _by_head(self.right), strict=True)
        return np.sum([left.T @ (mix[:, :, None] * right) for left, right in heads], axis=0)


def _by_head(factors: np.ndarray) -> np.ndarray:
    """(N, D) or (N, heads, D) as (heads, N, D)."""
    return factors[None] if factors.ndim == 2 else factors.swapaxes(0, 1)


class WeightRounding(NamedTuple):
    """How finely the weights of a layer are known."""

    unit: float
    """The coarsest rounding that their numbers may have."""
    left: float
    """|W_V| in the Frobenius norm, all heads together."""
    right: float
    """|W_K| |W_Q|."""

    @classmethod
    def of(cls, model: Model, layer: int) -> "WeightRounding":
        """Of one layer of a checked model."""
        matrices = (model.left_factor()[layer], model.key[layer], model.query[layer])
        kinds: list[Precision] = []
        for matrix in matrices:
            kinds += possible_precisions(matrix, model.precision)
        value, key, query = (float(np.linalg.norm(matrix)) for matrix in matrices)
        return cls(max(unit_of(kind) for kind in kinds), value, key * query)


def surely_full(
    values: tuple[np.ndarray, float], known: WeightRounding, moved: np.ndarray, factors: tuple[np.ndarray, np.ndarray]
) -> bool:
    """Whether N - 1 directions stand out even from the rounding of the weights, so that no rank of theirs is needed.

    Args:
        values: as `centred_values` returns them.
        known: of the layer.
        moved: M h_i, shape (N, D).
        factors: a_i and b_i, shapes (N, D), or (N, heads, D).
    """
    singular, size = values
    if len(singular) < len(moved) - 1:
        return False
    lengths = np.linalg.norm(moved, axis=-1)
    growth = 1.0  # of a relative error of the weights in a_i and in b_i
    for factor, norm in zip(factors, (known.left, known.right), strict=True):
        shortest = np.linalg.norm(factor.reshape(len(factor), -1), axis=-1)
        with np.errstate(all="ignore"):
            growth *= max(1.0, float((norm * lengths / shortest).max()))
    return bool(singular[-1] > CLEARLY * known.unit * growth * size)  # False for a growth that is not finite


def layer_factors(model: Model, layer: int, accumulated: Any) -> tuple[Any, Any]:
    """A = W_V M and B = Mᵀ W_Kᵀ W_Q M with M = I + `accumulated`, each (..., D, D), or (..., heads, D, D)."""
    m = np.eye(model.token_dim) + accumulated
    m = m if model.heads is None else m[..., None, :, :]
    value, key, query = model.left_factor()[layer], model.key[layer], model.query[layer]
    return value @ m, transpose(m) @ (transpose(key) @ query) @ m


def gradient_noise(model: Model, tokens: Any, *, shots: int, layer: int = 0) -> NoiseCovariance:
    """Covariance of the implicit gradient when b of the N demonstrations are shown, without replacement.

    C_t = (N-b)/(b(N-1)) [(1/N) Σ vec g_i vec g_iᵀ - vec G vec Gᵀ],  g_i = (W_V M h_i)(Mᵀ W_Qᵀ W_K M h_i)ᵀ, with
    M = I + W_{t-1} of the noise-free trajectory; exact for the subset mean at fixed M. Mean convention (1/N).

    Args:
        model: a single model: linear attention over all demonstrations, mean normalization, a linear MLP or none.
        tokens: the demonstrations, shape (N, D), N ≥ 2.
        shots: b in 1..N (b = N has no noise).
        layer: t - 1, counted from 0.

    Returns: `NoiseCovariance`, factored. Cost O(N D² + N² D + N³), up to O(D³ + N² D²) where the
        gradients are ill-conditioned, or in d_S coordinates for large N.
    Raises: ValueError for wrong shapes, NaN, shots or layer out of range, or a rank in doubt (see `Model.ranks`).
    Source: Y Assumption 1, App. C.4 (arXiv:2406.03768v2).

    Example:
        >>> import numpy as np
        >>> from icl_theory import gradient_noise, random_weights
        >>> tokens = np.random.default_rng(0).standard_normal((12, 3))
        >>> noise = gradient_noise(random_weights(0, layers=1, token_dim=3), tokens, shots=4)
        >>> noise.rank, noise.log_determinant(0.0)
        (6, -inf)
    """
    tokens = checks.array("tokens", tokens, (None, None), "pass one token per row")
    count, dimension = tokens.shape
    model = checked_linear(model, dimension, "the gradient noise")
    count = checks.integer("number of tokens", count, 2, None, "noise needs two demonstrations")
    shots = checks.integer("shots", shots, 1, count, "show at least one and at most all demonstrations")
    layer = checks.integer("layer", layer, 0, model.layers - 1, "layers are counted from 0")
    accumulated: Any = np.zeros((1, 1))
    moved = tokens
    if layer > 0:
        accumulated = implicit_trajectory(model.first_layers(layer), tokens).accumulated[-1]
        moved = tokens + tokens @ accumulated.T
    # Token by token, never a product of D x D matrices: (N, D), or (heads, N, D).
    left = moved @ transpose(model.left_factor()[layer])
    right = moved @ transpose(model.key[layer]) @ model.query[layer]
    if layer > 0:
        right = right + right @ accumulated
    if model.heads is not None:
        left, right = left.swapaxes(0, 1), right.swapaxes(0, 1)
    few = dimension * (dimension + 1) // 2 > 4 * count
    if few:
        noise = NoiseCovariance(left, right, shots, known_rank=count - 1 if shots < count else 0)
        if shots == count or surely_full(noise._values, WeightRounding.of(model, layer), moved, (left, right)):
            return noise
    span, m, factors = token_span(tokens), np.eye(dimension) + accumulated, layer_factors(model, layer, accumulated)
    rank = covariance_rank(span_structure(model, layer, span), m, span, factors)
    if few:
        return NoiseCovariance(left, right, shots, known_rank=rank)
    points = support_points(model, layer, m, span, factors)
    return NoiseCovariance(left, right, shots, *points, known_rank=rank)
