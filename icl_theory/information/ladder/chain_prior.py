"""The chain of Lemma 3, Σ_t I(W_t; H_s | W_{t-1}): a Gaussian prior given W_{t-1}, not the path that led there."""

import numpy as np

from icl_theory.core.numerics import transpose
from icl_theory.information.covariance_roots import log_determinant, whitening, with_floor
from icl_theory.information.ladder.noisy_trajectory import Layer, Runs
from icl_theory.information.ladder.path_prior import Reference, times
from icl_theory.information.ladder.setting import Setting

_SMALLEST = 1e-20  # of the largest variance of W_{t-1}: below it a direction is rounding
_FURTHEST = 1.7  # root mean square of W_{t-1}'s distance in standard deviations beyond which it is shrunk
_FEWEST = 4  # runs from which one half learns the prior of the other; with fewer the prior is that of `gaussian`


def observation_jacobians(setting: Setting, root: np.ndarray, layers: int) -> np.ndarray:
    """∂ vec W_t / ∂ z_s at t = `layers` for observations svec X_s = svec Σ_w + F z_s, F = `root`; shape (t, D², m).

    Taken at X_s = Σ_w, where M_s = I + W_s obeys M_s = M_{s-1} + Σ_heads V M X Mᵀ Wᴷᵀ W^Q M.
    """
    model, covariance = setting.model.with_heads(), setting.covariance
    values, products = model.left_factor(), transpose(model.key) @ model.query
    directions = setting.basis @ setting.law.directions(root.T) @ setting.basis.T
    m, changes = np.eye(model.token_dim), np.zeros((0, len(directions), *covariance.shape))
    for index in range(layers):
        moved = m @ covariance @ m.T
        turned = changes @ covariance @ m.T
        turned = turned + transpose(turned)  # of M X Mᵀ, with the changes of M so far
        own, later, step = np.zeros_like(directions), np.zeros_like(changes), np.zeros_like(m)
        for value, product in zip(values[index], products[index], strict=True):
            own = own + value @ m @ directions @ m.T @ product @ m
            later = later + value @ (turned @ product @ m + moved @ product @ changes)
            step = step + value @ moved @ product @ m
        m, changes = m + step, np.concatenate([changes + later, own[None]])
    return changes.reshape(layers, len(directions), -1).swapaxes(1, 2)


def chain_divergence(runs: Runs, setting: Setting, reference: Reference, by_layer: list[np.ndarray]) -> np.ndarray:
    """Σ_t KL(p(w_t | H_s, W_{t-1}) || q_t(· | W_{t-1})) of every run in nats, shape (K,); its mean is ≥ the chain.

    Lemma 3 conditions on W_{t-1} alone. Up to t = 2 that is the whole path, and the terms are those of
    `path_divergences` (`by_layer`). From t = 3 on S is estimated from W_{t-1} = Σ_s J_s z_s + rest, J_s as in
    `observation_jacobians`: S ~ N(Σ_w, Γ/N), observations as in the path's prior, and the rest, with what is not linear
    and the noise floor, white of variance τ²; a W_{t-1} that lies far out is shrunk first. The mean of the rest and τ²
    come from the other half of the batch, so that q_t never depends on the run it is evaluated on and the bound holds
    however wrong the approximation is. A Kalman update by a useless observation, τ² → ∞, leaves the `gaussian` rung's
    prior.

    Raises: LinAlgError for noise that is singular on its support.
    Source: Y Lemmas 3 and 5 (arXiv:2406.03768v2), from Wang and Mao; the prior is new.
    """
    total = sum(by_layer[:2], np.zeros(len(runs.draws.moments)))
    halves = np.arange(len(total)) % 2 == 0
    for index in range(2, len(runs.layers)):
        if runs.layers[index].dimension > 0:
            for tested in (halves, ~halves):
                total[tested] += _terms(runs, setting, reference, index, tested)
    return total


def _terms(runs: Runs, setting: Setting, reference: Reference, index: int, tested: np.ndarray) -> np.ndarray:
    """KL(p(w_t | H_s, W_{t-1}) || q_t) of the tested runs, with q_t learned from the other runs."""
    (mean, root), layer, draws = reference, runs.layers[index], runs.draws
    state, spread = _knowledge(runs, setting, reference, index, tested)
    seen = setting.shots / setting.demonstrations
    maps = np.eye(len(root))[None] if layer.cancels else _of(layer, tested) @ root
    floor = 0.0 if layer.cancels else setting.floor
    predicted = maps @ np.linalg.cholesky(spread + (1 - seen) * np.eye(len(root)))
    inverse, volume = whitening(with_floor(predicted, floor))
    noise = with_floor(maps @ np.linalg.solve(root, draws.noise_root[tested]), floor)
    moments = _whitened(root, draws.moments[tested] - mean)
    offset = times(inverse, times(maps, moments - state))
    white = ((inverse @ noise) ** 2).sum((-2, -1)) + (offset**2).sum(-1)
    return 0.5 * (volume - log_determinant(noise) + white - layer.dimension)


def _whitened(root: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """F⁻¹ v of vectors (..., m)."""
    return np.linalg.solve(root, vectors.reshape(-1, len(root)).T).T.reshape(vectors.shape)


def _of(layer: Layer, tested: np.ndarray) -> np.ndarray:
    return layer.maps if len(layer.maps) == 1 else layer.maps[tested]


def _knowledge(
    runs: Runs, setting: Setting, reference: Reference, index: int, tested: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean (tested, m) and covariance (m, m) of S given W_{t-1}, in units of the root of Γ/b."""
    (mean, root), seen = reference, setting.shots / setting.demonstrations
    width, taught = len(root), ~tested
    if taught.sum() < _FEWEST:
        return np.zeros((int(tested.sum()), width)), seen * np.eye(width)
    jacobians = observation_jacobians(setting, root, index)
    observations = _whitened(root, runs.draws.observations[:, :index] - mean)
    reached = runs.layers[index].entering.reshape(len(tested), -1)
    rest = (reached - np.einsum("sdm,ksm->kd", jacobians, observations))[taught]
    centre = rest.mean(axis=0)
    variance = float(((rest - centre) ** 2).sum() / (len(rest) - 1) / rest.shape[1])  # τ²
    # Observations given nothing: covariance b/N between any two, 1 of one; so W_{t-1} ~ U diag(s²) Uᵀ + τ², no D² x D²
    # array.
    share = np.linalg.cholesky(np.full((index, index), seen) + (1 - seen) * np.eye(index))
    factor = np.einsum("sdm,sr->drm", jacobians, share).reshape(rest.shape[1], -1)
    left, sizes, _ = np.linalg.svd(factor, full_matrices=False)
    known = sizes**2 + variance
    precision = np.divide(1.0, known, out=np.zeros_like(known), where=known > _SMALLEST * known.max())
    signal = seen * jacobians.sum(axis=0).T @ left  # Cov(S, W_{t-1}) in the directions U
    observed = (reached[tested] - centre) @ left
    # Products of observations have heavy tails that no normal law has: what lies far out is shrunk.
    distance = np.sqrt((observed**2 * precision).sum(1, keepdims=True) / len(known))
    state = observed / np.maximum(1.0, distance / _FURTHEST) @ (signal * precision).T
    return state, seen * np.eye(width) - (signal * precision) @ transpose(signal)
