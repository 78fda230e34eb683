"""Implicit-gradient noise: per-demonstration gradients in factored form and their sampling covariance."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import EPS, Key, generator, transpose
from icl_theory.core.results import Result
from icl_theory.core.symmetric import outer_coordinates
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.checked import checked_linear
from icl_theory.models.model import Model
from icl_theory.noise.multi_head_support import ranks_of, support_of
from icl_theory.noise.support import span

# Relative to the size of all gradients together. A Gram matrix squares condition numbers: its smallest eigenvalue is
# used where that costs no more than a factor of 1e3 over rounding. Singular values below 1e-12 count as rounding.
_SMALLEST_OF_GRAM, _RANK_TOLERANCE = 1e-3, 1e-12


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
        if self.coordinates is None:
            values = centred_squares(_by_head(self.left), _by_head(self.right))
        else:
            centred = self.coordinates - self.coordinates.mean(axis=0)
            values = np.linalg.svd(centred, compute_uv=False)[: self.rank] ** 2
        return self.factor / count * values

    @cached_property
    def rank(self) -> int:
        """Numerical rank of C: at most min(N - 1, d_S), hence below D² for D ≥ 2."""
        if self.shots == len(self.left):
            return 0
        if self.coordinates is None:
            return len(self.spectrum)
        # An invertible map keeps the rank, and the features do not suffer from ill-conditioned weights.
        points = self.coordinates if self.features is None else self.features
        size = np.linalg.norm(points, 2) if points.size else 0.0
        values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        return int((values > _RANK_TOLERANCE * size).sum())

    @cached_property
    def trace(self) -> float:
        """tr C = (N-b)/(b(N-1)) [(1/N) Σ |a_i|² |b_i|² - |G|_F²]."""
        if self.coordinates is None:
            return float(self.spectrum.sum())
        return float(self.factor * self.coordinates.var(axis=0).sum())

    @cached_property
    def log_pseudo_determinant(self) -> float:
        """Σ log λ over the nonzero eigenvalues of C; 0 for C = 0. Unit: nats (a log of a squared-gradient volume)."""
        if self.features is None or self.rank < self.features.shape[1]:
            return float(np.log(self.spectrum).sum())
        centred = self.features - self.features.mean(axis=0)
        values = np.linalg.svd(centred * np.sqrt(self.factor / len(self.left)), compute_uv=False)
        return float(2 * np.log(values).sum() + 2 * self.log_volume)

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


def centred_squares(left: np.ndarray, right: np.ndarray, gram: np.ndarray | None = None) -> np.ndarray:
    """Squared singular values of the rows vec(g_i - G), g_i = Σ_h a_i b_iᵀ, descending, rounding left out; (rank,).

    O(N² D + N³) from the Gram matrix of the g_i where that is well conditioned. Where it is not, squaring would lose
    the small values, and they come from a triangular factor of the rows: 2 N² p q flops for a_i and b_i that span p and
    q ≤ N dimensions, and memory for N² + 4 N max(N, q) numbers.

    Args:
        left: a_i by head, (heads, N, D).
        right: b_i by head, (heads, N, D).
        gram: ⟨g_i, g_j⟩, (N, N); computed where needed if None.
    """
    count = left.shape[1]
    if left.shape[2] * right.shape[2] >= count:  # else the rank is certainly below N - 1
        gram = gram_matrix(left, right) if gram is None else gram
        means = gram.mean(axis=0)
        values = np.linalg.eigvalsh(gram - means - means[:, None] + means.mean())[::-1]
        if values[-2] > _SMALLEST_OF_GRAM * (values[0] + count * means.mean()):
            return values[:-1]  # the one left out is that of the mean
    rows = _triangle(_compressed(left), _compressed(right))
    size = np.linalg.norm(rows, 2) if rows.size else 0.0
    values = np.linalg.svd(rows - rows.mean(axis=1, keepdims=True), compute_uv=False)
    return values[values > _RANK_TOLERANCE * size] ** 2


def gram_matrix(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """⟨g_i, g_j⟩ = Σ_hk (a_i · a_j) (b_i · b_j) over pairs of heads, shape (N, N)."""
    heads = list(zip(left, right, strict=True))
    return np.sum([(a @ c.T) * (b @ d.T) for a, b in heads for c, d in heads], axis=0)


def _compressed(factors: np.ndarray) -> np.ndarray:
    """The same vectors (heads, N, D) in orthonormal coordinates of their span, (heads, N, p)."""
    u, values, _ = np.linalg.svd(factors.reshape(-1, factors.shape[2]), full_matrices=False)
    kept = int((values > EPS * values[0]).sum())
    return (u[:, :kept] * values[:kept]).reshape(*factors.shape[:2], kept)


def _triangle(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """T (·, N) with TᵀT = ⟨g_i, g_j⟩, by QR of the vec g_i in blocks and not from that product."""
    count = left.shape[1]
    step = max(1, 4 * count // max(1, right.shape[2]))
    triangle = np.zeros((0, count))
    for start in range(0, left.shape[2], step):
        block = np.einsum("hni,hnj->ijn", left[:, :, start : start + step], right).reshape(-1, count)
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, block]), mode="r"))
    return triangle


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

    Returns: `NoiseCovariance`, factored. Cost O(N D² + N² D + N³), up to O(N² D²) where the gradients
        are ill-conditioned, or in d_S coordinates for large N.
    Raises: ValueError for wrong shapes, NaN, shots or layer out of range.
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
    if dimension * (dimension + 1) // 2 > 4 * count:
        return NoiseCovariance(left, right, shots)
    return NoiseCovariance(left, right, shots, *support_points(*layer_factors(model, layer, accumulated), tokens))


def support_points(left: np.ndarray, right: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, Any, float]:
    """Coordinates of A h_i h_iᵀ B on the support, svec(h_i h_iᵀ) if that map is invertible, and its log volume."""
    basis = span(tokens)
    ranks = ranks_of(left, right, basis) if basis.shape[1] else None
    if ranks is None or ranks.dimension == 0:
        return np.zeros((len(tokens), 0)), None, 0.0
    support, inner = support_of(left, right, ranks, basis), tokens @ basis
    coordinates, volume = support.coordinates(inner), support.log_volume
    if volume is None:
        return coordinates, None, 0.0
    return coordinates, outer_coordinates(inner), float(volume)
