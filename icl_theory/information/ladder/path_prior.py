"""A Gaussian prior on the whole path: every layer is compared with what the layers before it have revealed about S."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from icl_theory.core.numerics import transpose
from icl_theory.information.covariance_roots import log_determinant, whitening, with_floor
from icl_theory.information.estimators.channel import LOG_2PI
from icl_theory.information.ladder.noisy_trajectory import Runs
from icl_theory.information.ladder.setting import Setting

Reference = tuple[np.ndarray, np.ndarray]
"""Mean svec Σ_w (m,) and lower triangular root (m, m) of Γ/b, Γ = Cov svec(h hᵀ)."""


def path_divergences(runs: Runs, setting: Setting, reference: Reference) -> list[np.ndarray]:
    """KL(p(w_t | H_s, W_{t-1}) || q_t) of every layer and run in nats, shapes (K,), q_t a Kalman filter's prediction.

    The prior makes S ~ N(Σ_w, Γ/N) and every observation X_t = S + e_t, e_t ~ N(0, (1/b - 1/N) Γ), Γ = Cov svec(h hᵀ):
    the true first and second moments. q_t is the law of w_t given the outputs before it, so the mean of the sum is an
    upper bound on I(W_{1:L}; H_s) for any weights, truncated or with a noise floor. Where all maps are invertible it is
    ½ [d_S log(1 + L b/(N-b)) + L (log det E C_X - E log det C_X)]: what depends on S grows like log L, what a prior of
    one covariance pays for the unknown C_X, O(1/N) per layer, grows like L. At L = 1 it is the Gaussian rung.

    Raises: LinAlgError for noise that is singular on its support.
    """
    result, draws = [np.zeros(len(runs.draws.moments)) for _ in runs.layers], runs.draws
    jacobian = 2 * np.log(np.abs(np.diagonal(reference[1]))).sum()
    for step in _filter(runs, setting, reference):
        noise_volume = draws.log_volume - jacobian if step.cancels else log_determinant(step.noise)
        result[step.layer] += 0.5 * (step.volume - noise_volume)
        # With maps that do not depend on the path the filter is linear, and if its moments are true E excess = 0.
        if not step.linear:
            trace = ((step.inverse @ step.noise) ** 2).sum((-2, -1))
            result[step.layer] += 0.5 * (trace + (step.offset**2).sum(-1) - step.noise.shape[-2])
    return result


def path_log_density(runs: Runs, setting: Setting, reference: Reference) -> np.ndarray:
    """log q(w_{1:L}) of every run under the same prior, shape (K,), in the coordinates of the path's channels.

    That is in svec coordinates of the observation for a layer whose map cancels, else in those of the layer's support.
    """
    total, jacobian = np.zeros(len(runs.draws.moments)), np.log(np.abs(np.diagonal(reference[1]))).sum()
    for step in _filter(runs, setting, reference):
        width = step.surprise.shape[-1]
        total -= 0.5 * ((step.surprise**2).sum(-1) + step.volume + width * LOG_2PI) + jacobian * step.cancels
    return total


def path_log_ratio(runs: Runs, setting: Setting, reference: Reference) -> np.ndarray:
    """log p(w_{1:L} | H_s) - log q(w_{1:L}) of every run under the same prior, in nats, shape (K,): its information
    density, whose mean is that of `path_divergences`.

    Raises: LinAlgError for noise that is singular on its support.
    """
    total = np.zeros(len(runs.draws.moments))
    for step in _filter(runs, setting, reference):  # whitened by the prediction, so that no Jacobian is left
        total += 0.5 * (step.surprise**2).sum(-1) + log_normal(step.surprise - step.offset, step.inverse @ step.noise)
    return total


def log_normal(points: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """log N(x; 0, F Fᵀ) + ½ d log 2π of points (K, d) and roots (K, d, m), shape (K,)."""
    inverse, volume = whitening(roots)
    return -0.5 * ((times(inverse, points) ** 2).sum(-1) + volume)


class _Step(NamedTuple):
    """One layer of the filter; where the layer's map cancels, in observations in units of the root of Γ/b."""

    layer: int
    """t - 1."""
    inverse: np.ndarray
    """What whitens the prediction, shape (K or 1, d_t, d_t)."""
    volume: np.ndarray
    """log det of the prediction's covariance, shape (K or 1,)."""
    noise: np.ndarray
    """Root of the covariance given the demonstrations, shape (K, d_t, ·)."""
    offset: np.ndarray
    """Mean given the demonstrations minus prediction, whitened, shape (K, d_t)."""
    surprise: np.ndarray
    """Output minus prediction, whitened, shape (K, d_t)."""
    linear: bool
    """Whether the prior's moments are true and no map so far depends on the path, or cancels."""
    cancels: bool


def _filter(runs: Runs, setting: Setting, reference: Reference) -> Iterator[_Step]:
    (mean, root), draws = reference, runs.draws
    count, width = draws.moments.shape
    seen = setting.shots / setting.demonstrations
    moments, noise = np.linalg.solve(root, (draws.moments - mean).T).T, np.linalg.solve(root, draws.noise_root)
    # The filter's law of S, in units of the root of Γ/b: mean 0 and covariance (b/N) I before the first layer.
    state, spread, linear = np.zeros((count, width)), seen * np.eye(width)[None], setting.law.exact
    for index, layer in enumerate(runs.layers):
        if layer.dimension == 0:
            continue
        maps = np.eye(width)[None] if layer.cancels else layer.maps @ root
        floor = 0.0 if layer.cancels else setting.floor
        predicted = maps @ np.linalg.cholesky(spread + (1 - seen) * np.eye(width))
        inverse, volume = whitening(with_floor(predicted, floor))
        if layer.cancels:
            output = np.linalg.solve(root, (draws.observations[:, index] - mean).T).T
        else:
            output = layer.outputs - layer.maps @ mean
        surprise = times(inverse, output - times(maps, state))
        offset = times(inverse, times(maps, moments - state))
        linear = linear and (layer.cancels or len(layer.maps) == 1)
        yield _Step(index, inverse, volume, with_floor(maps @ noise, floor), offset, surprise, linear, layer.cancels)
        gain = inverse @ maps @ spread
        state = state + times(transpose(gain), surprise)
        spread = spread - transpose(gain) @ gain


def times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Matrices (K or 1, d, m) times vectors (K, m)."""
    return (matrices @ vectors[..., None])[..., 0]
