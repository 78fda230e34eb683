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
from icl_theory.core.numerics import EPS, transpose
from icl_theory.information.covariance_roots import log_determinant
from icl_theory.information.ladder.setting import Setting
from icl_theory.noise.covariance import layer_factors, sampling_factor
from icl_theory.noise.layer_spaces import Volume, canonical_support, log_volume
from icl_theory.noise.multi_head_support import SummedRank, SummedSupport, support_of
from icl_theory.noise.restricted_support import RestrictedSupport, restricted
from icl_theory.noise.support import Support

_CHUNK_ENTRIES = 2**25  # entries of all C_X held at once (256 MiB)


@dataclass(frozen=True)
class Layer:
    """One layer of K noisy trajectories."""

    support: Support | SummedSupport | RestrictedSupport
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
    size: np.ndarray
    """||G_t||_F² of the noise-free increment given W_{t-1}, shape (K,)."""
    crude: np.ndarray
    """||ΔW_t||_F² ||I + W_{t-1}||_F² of the same, shape (K,)."""
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
    """Free coordinates of the second moment of the u, shape (K, m), see `TokenLaw`."""
    noise_root: np.ndarray
    """F with F Fᵀ = C_X, the covariance of an observation given the demonstrations, shape (K, m, min(N, m))."""
    observations: np.ndarray
    """Those of the noisy observations X_t, shape (K, L, m)."""
    extra: np.ndarray
    """Standard normal D x D matrices for the noise floor, shape (K, L, D, D); (K, 0, D, D) without a floor."""
    mix: np.ndarray
    """Standard normal weights of the demonstrations in every observation, shape (K, L, N)."""
    unseen: np.ndarray | None = None
    """Fresh tokens of every run, shape (K, N, D), where the population loss has no closed form."""

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


def _layer(setting: Setting, index: int, accumulated: np.ndarray, observation: np.ndarray, mean: np.ndarray) -> tuple:
    """The layer's support, maps and crude norm, and the increment without a floor's noise."""
    basis, model, structure = setting.basis, setting.model, setting.structures[index]
    full_left, full_right = layer_factors(model, index, accumulated)
    left, right = full_left @ basis, basis.T @ full_right
    _require_finite(np.abs(left).max() * np.abs(right).max(), index)
    m = np.eye(model.token_dim) + accumulated
    ranks = structure if isinstance(structure, SummedRank) else structure.ranks
    support = support_of(left, right, ranks)
    free, floored = setting.law.free, setting.floor > 0
    canonical = None if floored and free is None else canonical_support(structure, m @ basis, (left, right))
    maps = support.matrix() if canonical is None else canonical
    key_query = transpose(model.key[index]) @ model.query[index]
    delta = images(left, mean, basis.T @ (transpose(m) if model.heads is None else transpose(m)[:, None]) @ key_query)
    crude = (delta**2).sum((-2, -1)) * (m**2).sum((-2, -1))
    sizes = (images(left, mean, right) ** 2).sum((-2, -1)), crude
    volume = log_volume(model, index, m, basis, support)
    if free is not None:
        error = EPS * np.linalg.cond(m @ basis)
        support, maps, volume = *restricted(support, maps, free, error, floored), None
    return support, maps, volume, sizes, images(left, observation, right)


def _require_finite(numbers: np.ndarray, index: int) -> None:
    if not np.isfinite(numbers).all():
        got, hint = f"a trajectory beyond the range of float64 in layer {index}", "scale the weights down"
        raise checks.error("model", got, "weights whose W_t stays finite", hint)


def images(left: np.ndarray, middle: np.ndarray, right: np.ndarray) -> np.ndarray:
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
    law = setting.law
    inner = law.sample(rng, count, total)
    tokens = inner @ law.basis.T
    # Layer by layer, so that a model with a layer fewer has the same noise in the others.
    mix = rng.standard_normal((layers, count, total)).swapaxes(0, 1)
    extra = rng.standard_normal((count, layers if setting.floor > 0 else 0, dimension, dimension))
    features = law.features(inner)
    moments = features.mean(axis=1)
    centred = features - moments[:, None]
    scale = np.sqrt(sampling_factor(total, setting.shots) / total)
    noise_root = scale * transpose(np.asarray(np.linalg.qr(centred, mode="r")))
    closed = law.gaussian and setting.mlp is None
    unseen = None if closed else law.sample(rng, count, total) @ law.basis.T
    return Draws(tokens, inner, moments, noise_root, moments[:, None] + scale * (mix @ centred), extra, mix, unseen)


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
    dimension, law = setting.model.token_dim, setting.law
    count = len(draws.tokens)
    mean, layers = law.matrices(draws.moments), []
    accumulated = np.zeros((1, dimension, dimension))
    for index in range(setting.model.layers):
        observation = law.matrices(draws.observations[:, index])
        with np.errstate(over="ignore", invalid="ignore"):  # looked for below
            support, maps, volume, sizes, increment = _layer(setting, index, accumulated, observation, mean)
        outputs = np.einsum("kdm,km->kd", np.broadcast_to(maps, (count, *maps.shape[1:])), draws.observations[:, index])
        if setting.floor > 0:
            noise = np.sqrt(setting.floor) * support.project(draws.extra[:, index])
            outputs, increment = outputs + noise, increment + support.embed(noise)
        cancels = support.dimension == setting.coordinates and setting.floor == 0
        entering, accumulated = accumulated, accumulated + increment
        _require_finite(accumulated, index)
        layers.append(Layer(support, maps, outputs, increment, cancels, volume, sizes[0], sizes[1], entering))
    return Runs(draws, layers, accumulated)
