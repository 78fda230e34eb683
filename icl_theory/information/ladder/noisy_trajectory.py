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
from icl_theory.core.symmetric import outer_coordinates, symmetric_pairs
from icl_theory.information.covariance_roots import log_determinant
from icl_theory.models.model import Model
from icl_theory.noise.covariance import layer_factors, sampling_factor
from icl_theory.noise.multi_head_support import Ranks, SummedSupport, ranks_of, support_of
from icl_theory.noise.support import Support, span
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

    @property
    def basis(self) -> np.ndarray:
        """Orthonormal basis T (D, q) of the subspace the tokens live in: q = D, or d_x for noise-free labels."""
        return span(self.covariance)

    @property
    def coordinates(self) -> int:
        """q(q+1)/2, the number of symmetric coordinates."""
        width = self.basis.shape[1]
        return width * (width + 1) // 2


@dataclass(frozen=True)
class Layer:
    """One layer of K noisy trajectories."""

    support: Support | SummedSupport
    """Coordinates of V_t for every trajectory (a stack of one where it does not depend on the path)."""
    maps: np.ndarray
    """P_t with z = P_t svec(X), shape (K or 1, d_t, m)."""
    outputs: np.ndarray
    """Coordinates of the noisy increment W_t - W_{t-1}, shape (K, d_t)."""
    cancels: bool
    """Whether P_t is invertible and there is no floor: then it drops out of every information."""
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
    """Demonstrations, shape (K, N, D)."""
    moments: np.ndarray
    """svec of S in the basis of the tokens' subspace, shape (K, m)."""
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


def _common_ranks(left: np.ndarray, right: np.ndarray, basis: np.ndarray, layer: int) -> Ranks:
    """Ranks of the pair, which almost surely do not depend on the path; an error where numerical ranks differ."""
    probe = {ranks_of(left[k], right[k], basis) for k in range(0, len(left), max(1, len(left) // 4))}
    if len(probe) > 1:
        raise checks.error(
            f"weights of layer {layer}",
            f"ranks that depend on the path ({len(probe)} kinds)",
            "singular values clearly zero or clearly not",
            "truncate the weights to a definite rank",
        )
    return probe.pop()


def _layer(setting: Setting, index: int, accumulated: np.ndarray, observation: np.ndarray, mean: np.ndarray) -> tuple:
    """The layer's support, maps and crude norm, and the matrices A, B of the tokens' subspace."""
    basis, model = setting.basis, setting.model
    full_left, full_right = layer_factors(model, index, accumulated)
    ranks = _common_ranks(full_left, full_right, basis, index)
    support = support_of(full_left, full_right, ranks, basis)
    left, right = full_left @ basis, basis.T @ full_right
    m = np.eye(model.token_dim) + accumulated
    key_query = transpose(model.key[index]) @ model.query[index]
    delta = _images(left, mean, basis.T @ (transpose(m) if model.heads is None else transpose(m)[:, None]) @ key_query)
    crude = (delta**2).sum((-2, -1)) * (m**2).sum((-2, -1))
    return support, support.matrix(), crude, _images(left, observation, right)


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
    task, total, layers = setting.task, setting.demonstrations, setting.model.layers
    dimension = setting.model.token_dim
    tokens = task.sample_tokens(rng, np.broadcast_to(setting.task_vector, (count, task.dim)), total)
    mix = rng.standard_normal((count, layers, total))
    extra = rng.standard_normal((count, layers if setting.floor > 0 else 0, dimension, dimension))
    inner = tokens @ setting.basis
    features = outer_coordinates(inner)
    moments = features.mean(axis=1)
    centred = features - moments[:, None]
    scale = np.sqrt(sampling_factor(total, setting.shots) / total)
    noise_root = scale * transpose(np.asarray(np.linalg.qr(centred, mode="r")))
    return Draws(tokens, moments, noise_root, moments[:, None] + scale * (mix @ centred), extra)


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
        support, maps, crude, increment = _layer(setting, index, accumulated, observation, mean)
        outputs = np.einsum("kdm,km->kd", np.broadcast_to(maps, (count, *maps.shape[1:])), draws.observations[:, index])
        if setting.floor > 0:
            noise = np.sqrt(setting.floor) * support.project(draws.extra[:, index])
            outputs, increment = outputs + noise, increment + support.embed(noise)
        cancels = support.dimension == setting.coordinates and setting.floor == 0
        layers.append(Layer(support, maps, outputs, cancels, np.broadcast_to(crude, count), accumulated))
        accumulated = accumulated + increment
    return Runs(draws, layers, accumulated)


def symmetric_matrix(coordinates: np.ndarray, size: int) -> np.ndarray:
    """The inverse of svec, shape (..., size, size)."""
    rows, columns, weight = symmetric_pairs(size)
    matrix = np.zeros((*coordinates.shape[:-1], size, size))
    matrix[..., rows, columns] = coordinates / weight
    matrix[..., columns, rows] = coordinates / weight
    return matrix
