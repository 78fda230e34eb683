"""Scalar channels with Gaussian noise that depends on the demonstrations."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.noise.covariance import sampling_factor

_SETS, _SIZE, _SHOTS = 8, 10, 4  # demonstration sets, their size N, the shots b


def noise_channel(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of W | H_s for eight equally likely sets H_s: one number r of the first layer's update.

    r = (W_V h)_y (W_Kᵀ W_Q)ᵀh · u for a random u, averaged over b of the set's N demonstrations and then taken as
    Gaussian, in units of its standard deviation over all demonstrations. In one dimension everything is exact.
    """
    w, rng = case.model, np.random.default_rng(case.seed)
    probe = rng.standard_normal(w.token_dim)
    numbers = (case.demonstrations @ w.value[0, -1]) * (case.demonstrations @ (w.key[0].T @ w.query[0] @ probe))
    numbers = numbers / numbers.std()
    sets = np.stack([rng.choice(numbers, _SIZE, replace=False) for _ in range(_SETS)])
    return sets.mean(axis=1), sampling_factor(_SIZE, _SHOTS) * sets.var(axis=1)


def channel_information(means: np.ndarray, variances: np.ndarray) -> float:
    """I(W; H_s) of the equal mixture of Gaussians, by the trapezoidal rule, which is spectrally accurate here."""
    deviations = np.sqrt(variances)
    step = deviations.min() / 8
    grid = np.arange((means - 12 * deviations).min(), (means + 12 * deviations).max(), step)
    density = np.exp(-0.5 * ((grid[:, None] - means) / deviations) ** 2) / (np.sqrt(2 * np.pi) * deviations)
    mixture = density.mean(axis=1)
    inside = mixture > 0
    entropy = -step * (mixture[inside] * np.log(mixture[inside])).sum()
    return float(entropy - 0.5 * np.log(2 * np.pi * np.e * variances).mean())


def first_line(means: np.ndarray, variances: np.ndarray, reference: float, prior: float) -> float:
    """½ E[((G - g̃)² + C)/σ² + log σ² - log C - 1]."""
    size = ((means - reference) ** 2 + variances).mean()
    return float(0.5 * (size / prior + np.log(prior) - np.log(variances).mean() - 1))


def second_line(means: np.ndarray, variances: np.ndarray, reference: float) -> float:
    """½ [log E((G - g̃)² + C) - E log C], the first line at its best σ²."""
    return float(0.5 * (np.log(((means - reference) ** 2 + variances).mean()) - np.log(variances).mean()))
