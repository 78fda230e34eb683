"""Noisy implicit trajectories W_t = W_{t-1} + G_t + C_t^{1/2} n_t, many at once, in symmetric coordinates.

Every increment is A_t X_t B_t with X_t ~ N(S, C_X), a symmetric noisy observation of the second moment of the tokens:
the noise of every layer is the same sampling noise C_X of S, mapped by the layer. Stacks of small matrices of a shape
that changes with the rank are handled by numpy's batched routines, which need no compilation per rank.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import transpose
from icl_theory.core.ranks import definite_rank
from icl_theory.core.symmetric import outer_coordinates, symmetric_pairs
from icl_theory.information.covariance_roots import log_determinant
from icl_theory.models.model import Model
from icl_theory.noise.covariance import layer_factors, sampling_factor
from icl_theory.noise.layer_spaces import Structure, Volume, canonical_support, layer_structures, log_volume
from icl_theory.noise.multi_head_support import SummedRank, SummedSupport, support_of
from icl_theory.noise.support import Support
from icl_theory.tasks.linear_regression import LinearRegression

_CHUNK_ENTRIES = 2**25  # entries of all C_X held at once (256 MiB)


@dataclass(frozen=True)
class Setting:
    """What is fixed while demonstrations and noise are drawn repeatedly."""

    model: Model
    task: LinearRegression
    task_vector: np.ndarray
    """w, shape (d_x,)."""
    demonstrations: int
    """N."""
    shots: int
    """b < N."""
    floor: float = 0.0
    """ε², variance of extra isotropic noise on the support of every layer."""

    @property
    def covariance(self) -> np.ndarray:
        """Σ_w, shape (D, D)."""
        return self.task.token_covariance(self.task_vector)

    @cached_property
    def basis(self) -> np.ndarray:
        """B (D, q) with tokens h = B u, u ~ N(0, I_q): q = D, less for labels without noise or a singular Λ.

        Everything is computed in the coordinates u, in which no noise level and no input covariance is ill-conditioned:
        I(W; H_s) is invariant under invertible linear maps of the tokens.
        """
        return token_root(self.task, self.task_vector)

    @cached_property
    def structures(self) -> list[Structure]:
        """Which gradients every layer can have, from the weights alone. Raises: ValueError where a rank is in doubt."""
        return layer_structures(self.model, self.basis)

    @property
    def coordinates(self) -> int:
        """q(q+1)/2, the number of symmetric coordinates."""
        width = self.basis.shape[1]
        return width * (width + 1) // 2


@dataclass(frozen=True)
class Layer:
    """One layer of K noisy trajectories."""

    support: Support | SummedSupport
    """Orthonormal coordinates of V_t for every trajectory (a stack of one where it does not depend on the path)."""
    maps: np.ndarray
    """P_t with z = P_t svec(X), shape (K or 1, d_t, m): those of `canonical_support`, with a floor of `support`."""
    outputs: np.ndarray
    """z of the noisy increment W_t - W_{t-1}, shape (K, d_t)."""
    increment: np.ndarray
    """W_t - W_{t-1}, shape (K, D, D)."""
    cancels: bool
    """Whether P_t is invertible and there is no floor: then it drops out of every information."""
    map_volume: Volume | None
    """log |det P_t| of the map to `support`, shape (K or 1,), where that is invertible."""
    crude: np.ndarray
    """||ΔW_t||_F² ||I + W_{t-1}||_F² of the noise-free increment given W_{t-1}, shape (K,)."""
    entering: np.ndarray
    """W_{t-1}, shape (K, D, D); (1, D, D) in the first layer."""

    @property
    def dimension(self) -> int:
        """d_t = dim V_t."""
        return self.support.dimension


@dataclass(frozen=True)
class Draws:
    """Everything random about K runs. It does not depend on the weights, so it can serve many of them."""

    tokens: np.ndarray
    """Demonstrations h, shape (K, N, D)."""
    inner: np.ndarray
    """u with h = B u, shape (K, N, q), B the basis of the setting."""
    moments: np.ndarray
    """svec of the second moment of the u, shape (K, m)."""
    noise_root: np.ndarray
    """F with F Fᵀ = C_X, the covariance of an observation given the demonstrations, shape (K, m, min(N, m))."""
    observations: np.ndarray
    """svec of the noisy observations X_t, shape (K, L, m)."""
    extra: np.ndarray
    """Standard normal D x D matrices for the noise floor, shape (K, L, D, D); (K, 0, D, D) without a floor."""

    @cached_property
    def log_volume(self) -> np.ndarray:
        """log det C_X, shape (K,): taken once for all layers and all weights. LinAlgError where it is singular."""
        return log_determinant(self.noise_root)


@dataclass(frozen=True)
class Runs:
    """K noisy trajectories, each with demonstrations of its own."""

    draws: Draws
    layers: list[Layer]
    accumulated: np.ndarray
    """W_L, shape (K, D, D)."""


def gaussian_moment_covariance(covariance: np.ndarray) -> np.ndarray:
    """Cov svec(h hᵀ) = 2 (Σ ⊗_s Σ) for h ~ N(0, Σ): Σ_ik Σ_jl + Σ_il Σ_jk with svec weights, shape (m, m)."""
    i, j, weight = symmetric_pairs(len(covariance))
    rows, columns = (i[:, None], j[:, None]), (i[None], j[None])
    product = covariance[rows[0], columns[0]] * covariance[rows[1], columns[1]]
    product = product + covariance[rows[0], columns[1]] * covariance[rows[1], columns[0]]
    return product * weight * weight[:, None]


def token_root(task: LinearRegression, task_vector: np.ndarray) -> np.ndarray:
    """B (D, q) with [x; y] = B u for u ~ N(0, I_q): x = Λ^{1/2} u_x, y = w · x + σ u_y; no columns of zeros."""
    root, size = task.input_root, definite_rank("task.covariance", task.covariance)
    if size < task.dim:
        values, vectors = np.linalg.eigh(task.covariance)
        root = vectors[:, -size:] * np.sqrt(values[-size:]) if size else np.zeros((task.dim, 0))
    inputs = np.concatenate([root, (task_vector @ root)[None]])
    if task.noise_std == 0:
        return inputs
    return np.concatenate([inputs, np.r_[np.zeros(task.dim), task.noise_std][:, None]], axis=1)


def _layer(setting: Setting, index: int, accumulated: np.ndarray, observation: np.ndarray, mean: np.ndarray) -> tuple:
    """The layer's support, maps and crude norm, and the increment without a floor's noise."""
    basis, model, structure = setting.basis, setting.model, setting.structures[index]
    full_left, full_right = layer_factors(model, index, accumulated)
    left, right = full_left @ basis, basis.T @ full_right
    _require_finite(np.abs(left).max() * np.abs(right).max(), index)
    m = np.eye(model.token_dim) + accumulated
    ranks = structure if isinstance(structure, SummedRank) else structure.ranks
    support = support_of(left, right, ranks)
    maps = support.matrix() if setting.floor > 0 else canonical_support(structure, m @ basis, (left, right))
    key_query = transpose(model.key[index]) @ model.query[index]
    delta = _images(left, mean, basis.T @ (transpose(m) if model.heads is None else transpose(m)[:, None]) @ key_query)
    crude = (delta**2).sum((-2, -1)) * (m**2).sum((-2, -1))
    volume = log_volume(model, index, m, basis, support)
    return support, maps, volume, crude, _images(left, observation, right)


def _require_finite(numbers: np.ndarray, index: int) -> None:
    if not np.isfinite(numbers).all():
        got, hint = f"a trajectory beyond the range of float64 in layer {index}", "scale the weights down"
        raise checks.error("model", got, "weights whose W_t stays finite", hint)


def _images(left: np.ndarray, middle: np.ndarray, right: np.ndarray) -> np.ndarray:
    """A X B for stacks (K, ...), summed over the heads where A and B are (K, heads, ...)."""
    if left.ndim == 3:
        return left @ middle @ right
    return (left @ middle[:, None] @ right).sum(1)


def draw(setting: Setting, rng: np.random.Generator, count: int) -> Draws:
    """Fresh demonstrations and fresh noise in every layer for `count` runs (Y Assumption 1).

    The weights are not used: the same generator gives common random numbers to different weights, and so small error
    bars to differences between them.
    """
    total, layers = setting.demonstrations, setting.model.layers
    dimension = setting.model.token_dim
    inner = _standard_tokens(setting, rng, count)
    tokens = inner @ setting.basis.T
    # Layer by layer, so that a model with a layer fewer has the same noise in the others.
    mix = rng.standard_normal((layers, count, total)).swapaxes(0, 1)
    extra = rng.standard_normal((count, layers if setting.floor > 0 else 0, dimension, dimension))
    features = outer_coordinates(inner)
    moments = features.mean(axis=1)
    centred = features - moments[:, None]
    scale = np.sqrt(sampling_factor(total, setting.shots) / total)
    noise_root = scale * transpose(np.asarray(np.linalg.qr(centred, mode="r")))
    return Draws(tokens, inner, moments, noise_root, moments[:, None] + scale * (mix @ centred), extra)


def _standard_tokens(setting: Setting, rng: np.random.Generator, count: int) -> np.ndarray:
    """u ~ N(0, I_q) for every demonstration, shape (K, N, q); first those of all inputs, then those of the labels."""
    labels = int(setting.task.noise_std > 0)
    inputs = rng.standard_normal((count, setting.demonstrations, setting.basis.shape[1] - labels))
    noise = rng.standard_normal((count, setting.demonstrations, 1))
    return np.concatenate([inputs, noise], axis=-1) if labels else inputs


class Batches:
    """The draws of all runs in chunks of bounded memory; a single chunk is kept for the next weights."""

    def __init__(self, setting: Setting, seed: int, samples: int) -> None:
        self._setting, self._seed = setting, seed
        largest = max(2, _CHUNK_ENTRIES // max(1, setting.coordinates**2))
        # Pieces of nearly equal size: from a small last one the chain's prior would learn next to nothing.
        self._sizes = [len(piece) for piece in np.array_split(np.arange(samples), -(-samples // largest))]
        self._kept: list[Draws] = []

    def __iter__(self) -> Iterator[Draws]:
        if self._kept:
            yield from self._kept
            return
        rng = np.random.default_rng(self._seed)
        for size in self._sizes:
            draws = draw(self._setting, rng, size)
            if len(self._sizes) == 1:
                self._kept = [draws]
            yield draws


def simulate(setting: Setting, draws: Draws) -> Runs:
    """The noisy trajectories of these draws under the setting's weights."""
    dimension, width = setting.model.token_dim, setting.basis.shape[1]
    count = len(draws.tokens)
    mean, layers = symmetric_matrix(draws.moments, width), []
    accumulated = np.zeros((1, dimension, dimension))
    for index in range(setting.model.layers):
        observation = symmetric_matrix(draws.observations[:, index], width)
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            support, maps, volume, crude, increment = _layer(setting, index, accumulated, observation, mean)
        outputs = np.einsum("kdm,km->kd", np.broadcast_to(maps, (count, *maps.shape[1:])), draws.observations[:, index])
        if setting.floor > 0:
            noise = np.sqrt(setting.floor) * support.project(draws.extra[:, index])
            outputs, increment = outputs + noise, increment + support.embed(noise)
        cancels = support.dimension == setting.coordinates and setting.floor == 0
        entering, accumulated = accumulated, accumulated + increment
        _require_finite(accumulated, index)
        crude = np.broadcast_to(crude, count)
        layers.append(Layer(support, maps, outputs, increment, cancels, volume, crude, entering))
    return Runs(draws, layers, accumulated)


def symmetric_matrix(coordinates: np.ndarray, size: int) -> np.ndarray:
    """The inverse of svec, shape (..., size, size)."""
    rows, columns, weight = symmetric_pairs(size)
    matrix = np.zeros((*coordinates.shape[:-1], size, size))
    matrix[..., rows, columns] = coordinates / weight
    matrix[..., columns, rows] = coordinates / weight
    return matrix
