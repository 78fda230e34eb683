"""A Gaussian prior on the whole path: every layer is compared with what the layers before it have told about S."""

import numpy as np

from icl_theory._numerics import transpose
from icl_theory.information.channel import log_determinant, whitening, with_floor
from icl_theory.information.simulation import Layer, Runs, Setting


def path_divergence(runs: Runs, setting: Setting, reference: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Σ_t KL(p(w_t | H_s, W_{t-1}) || q_t) of every run in nats, shape (K,), q_t being a Kalman filter's prediction.

    The prior makes S ~ N(Σ_w, Γ/N) and every look X_t = S + e_t, e_t ~ N(0, (1/b - 1/N) Γ), Γ = Cov svec(h hᵀ): the
    true first and second moments. q_t is the law of w_t given the outputs before it, so the mean of the sum is an upper
    bound on I(W_{1:L}; H_s) for any weights, truncated or with a noise floor. Where all maps are invertible it is
    ½ [d_S log(1 + L b/(N-b)) + L (log det E C_X - E log det C_X)]: what depends on S grows like log L, what a prior of
    one covariance pays for the unknown C_X, O(1/N) per layer, grows like L. At L = 1 it is the Gaussian rung.

    Args: reference: mean and root of Γ/b. Raises: LinAlgError for noise that is singular on its support.
    """
    (mean, prior_root), draws = reference, runs.draws
    count, width = draws.moments.shape
    seen = setting.shots / setting.demonstrations

    def white(vectors: np.ndarray) -> np.ndarray:
        return np.linalg.solve(prior_root, vectors)

    moments, noise = white((draws.moments - mean).T).T, white(draws.noise_root)
    # The filter's knowledge of S, in units of the root of Γ/b: mean 0 and covariance (b/N) I before the first layer.
    state, spread = np.zeros((count, width)), seen * np.eye(width)[None]
    total, exact = np.zeros(count), True
    for index, layer in enumerate(runs.layers):
        if layer.dimension == 0:
            continue
        maps = np.eye(width)[None] if layer.cancels else layer.maps @ prior_root
        floor = 0.0 if layer.cancels else setting.floor
        predicted = maps @ np.linalg.cholesky(spread + (1 - seen) * np.eye(width))
        inverse, volume = whitening(with_floor(predicted, floor))
        root = with_floor(maps @ noise, floor)
        total += 0.5 * (volume - log_determinant(root))
        # With maps that do not depend on the path the filter is linear and its moments are true: E excess = 0.
        exact = exact and (layer.cancels or len(layer.maps) == 1)
        if not exact:
            offset = _times(inverse, _times(maps, moments - state))
            trace = ((inverse @ root) ** 2).sum((-2, -1))
            total += 0.5 * (trace + (offset**2).sum(-1) - layer.dimension)
        if index + 1 < len(runs.layers):
            gain = inverse @ maps @ spread
            innovation = _times(inverse, _innovation(layer, runs, index, (mean, prior_root), maps, state))
            state = state + _times(transpose(gain), innovation)
            spread = spread - transpose(gain) @ gain
    return total


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Matrices (K or 1, d, m) times vectors (K, m)."""
    return (matrices @ vectors[..., None])[..., 0]


def _innovation(layer: Layer, runs: Runs, index: int, reference: tuple, maps: np.ndarray, state: np.ndarray):
    """What layer `index` gave beyond its prediction, in the coordinates of the layer."""
    mean, prior_root = reference
    if layer.cancels:
        return np.linalg.solve(prior_root, (runs.draws.looks[:, index] - mean).T).T - state
    return layer.outputs - layer.maps @ mean - _times(maps, state)
