"""The same b demonstrations in every layer, as in a real forward pass, compared with fresh noise in each.

Y's Assumption 1 (arXiv:2406.03768v2) draws new noise in every layer. In a forward pass every layer observes S through
the same subset: W_L is a function of S_b, so I(W_L; H_s) ≤ I(S_b; H_s), the information of one layer without a factor
L. With S_b Gaussian given H_s that is one term of the ladder; for the subset itself it is +inf with continuous data,
because S_b then takes finitely many values given H_s. The whole comparison is new, that is, not in Y.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate, generalization_bound
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key
from icl_theory.core.results import Result
from icl_theory.core.symmetric import outer_coordinates
from icl_theory.descent.implied_weights import implied_weights
from icl_theory.information.ladder.bound_ladder import ladder_of
from icl_theory.information.ladder.losses import empirical_loss, population_loss
from icl_theory.information.ladder.noisy_trajectory import Batches, Draws, draw, simulate
from icl_theory.information.ladder.rungs import mean_estimate
from icl_theory.information.ladder.setting import FEWEST_RUNS, Setting, fixed_task
from icl_theory.models.model import Model
from icl_theory.tasks.linear_regression import LinearRegression


@fields_in_help
@dataclass(frozen=True, repr=False)
class SharedSubsets(Result):
    """What changes when all layers see the same b demonstrations; e_t = W_t - W_{t-1} - G_t(W_{t-1}) is the noise.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, shared_subsets
        >>> model, task = random_weights(0, layers=2, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> found = shared_subsets(model, task, demonstrations=40, shots=10, clip=4.0, samples=64)
        >>> len(found.variance), sorted(found.information)
        (2, ['fresh_path_gaussian', 'gaussian', 'mutual_information'])
    """

    variance: list[Estimate]
    """E||e_t||² with one subset over the same with fresh noise, by layer; 1 in the first, by Assumption 1's C_1."""
    correlation: list[Estimate]
    """E⟨e_1, e_t⟩ / (E||e_1||² E||e_t||²)^{1/2} with one subset, by layer; fresh noise has 0 from the second on."""
    fresh_correlation: list[Estimate]
    """The same with fresh noise."""
    shift: Estimate
    """||E W_L with one subset - E W_L fresh||_F² / E||W_L - E W_L||² fresh: the means differ as well."""
    information: dict[str, Estimate]
    """Nats: "mutual_information" and "gaussian" of one noisy observation of S for all layers, "fresh_path_gaussian" of
    an observation in each."""
    bounds: dict[str, Estimate]
    """sqrt(2 R² I / N) of each, in units of the loss."""
    gap: Estimate
    """Measured gap with one Gaussian observation of S for all layers."""
    subset_gap: Estimate
    """Measured gap with one subset for all layers: what a forward pass has. Not covered by a finite information."""
    fresh_gap: Estimate
    """Measured gap with fresh noise."""


def with_subset(draws: Draws, setting: Setting) -> Draws:
    """The draws with every observation replaced by S_b of the first b demonstrations (tokens are exchangeable)."""
    inner = draws.inner[:, : setting.shots]
    observation = outer_coordinates(inner).mean(axis=1)
    return replace(draws, observations=np.repeat(observation[:, None], draws.observations.shape[1], axis=1))


def with_one_observation(draws: Draws) -> Draws:
    """The draws with the first layer's Gaussian observation shown to every layer."""
    return replace(draws, observations=np.repeat(draws.observations[:, :1], draws.observations.shape[1], axis=1))


def layer_noise(setting: Setting, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """e_t as matrices, shape (L, K, D, D), and W_L, shape (K, D, D)."""
    runs = simulate(setting, draws)
    noise = []
    for layer in runs.layers:
        mean = (layer.support.matrix() @ draws.moments[..., None])[..., 0]
        noise.append(layer.increment - layer.support.embed(mean))
    return np.stack(noise), runs.accumulated


def _ratio(above: np.ndarray, below: np.ndarray) -> Estimate:
    """Mean of one sample over the mean of another taken on the same runs, with the delta method's error."""
    value = float(above.mean() / below.mean())
    error = Estimate.from_samples(above - value * below).stderr / abs(float(below.mean()))
    return Estimate(value, error, len(above), "unbiased", "ratio")


def correlation_with_first(noise: np.ndarray) -> list[Estimate]:
    """E⟨e_1, e_t⟩ / (E||e_1||² E||e_t||²)^{1/2} for every layer t of noise (L, K, D, D)."""
    first, result = noise[0], []
    own = (first**2).sum((1, 2))
    for other in noise:
        cross, size = (first * other).sum((1, 2)), (other**2).sum((1, 2))
        scale = np.sqrt(own.mean() * size.mean())
        value = float(cross.mean() / scale)
        influence = cross / scale - 0.5 * value * (own / own.mean() + size / size.mean())
        error = Estimate.from_samples(influence).stderr
        result.append(Estimate(value, error, len(cross), "unbiased", "correlation"))
    return result


def _shift(shared: np.ndarray, fresh: np.ndarray) -> Estimate:
    """Squared distance of the means over the fresh spread, without the bias of a squared norm of noise.

    It can come out below zero where there is no shift; a square root of it would have to hide that. The error is the
    delta method's, of distance and spread together; without a shift, where a square has no slope, it is too large.
    """
    count = len(shared)
    difference = (shared - fresh).reshape(count, -1)
    mean = difference.mean(axis=0)
    sizes = ((fresh - fresh.mean(axis=0)) ** 2).reshape(count, -1).sum(axis=1) * count / (count - 1)
    spread = float(sizes.mean())
    # |mean|² exceeds the squared distance by tr Cov / K on average.
    value = float(mean @ mean - difference.var(axis=0, ddof=1).sum() / count) / spread
    influence = (2 * (difference @ mean) - value * sizes) / spread
    return Estimate(value, Estimate.from_samples(influence).stderr, count, "unbiased", "variances")


def _gap(setting: Setting, accumulated: np.ndarray, tokens: np.ndarray, clip: float) -> Estimate:
    p = implied_weights(accumulated, setting.model.readout)
    task: Any = setting.task
    losses = population_loss(p, task, setting.task_vector, clip) - empirical_loss(p, tokens, clip)
    return mean_estimate(losses, "unbiased", "loss")


def shared_subsets(
    model: Model,
    task: LinearRegression,
    *,
    demonstrations: int,
    shots: int,
    clip: float,
    samples: int,
    key: Key = 0,
    task_vector: Any = None,
) -> SharedSubsets:
    """How far one subset of b demonstrations for all layers departs from fresh noise in each, and its bound.

    Three versions of the trajectory on the same demonstrations: fresh Gaussian noise (Y Assumption 1), one
    Gaussian observation X ~ N(S, C_X) for all layers, and one subset for all layers. In the second W_L is a
    function of X:
    gap ≤ sqrt(2 R² I(X; H_s) / N), whatever the number of layers.

    Args:
        model: a single model: linear attention over all demonstrations, mean normalization, a linear MLP or none.
        task: Gaussian inputs and label noise.
        demonstrations: N.
        shots: b with 1 ≤ b < N.
        clip: c > 0, where the squared error is clipped, in units of the squared label.
        samples: Monte Carlo runs, at least 16.
        key: a jax.random.key or a whole number; the same key gives common random numbers.
        task_vector: w, shape (d_x,); drawn from `key` if None.

    Returns: `SharedSubsets`.
    Raises: ValueError as `bound_ladder`, and for N - 1 < d_S, where I(X; H_s) = +inf.
    Source: new; Y Assumption 1 (arXiv:2406.03768v2) is what it measures.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, shared_subsets
        >>> model, task = random_weights(0, layers=2, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> found = shared_subsets(model, task, demonstrations=40, shots=10, clip=4.0, samples=64)
        >>> found.information["gaussian"].value < found.information["fresh_path_gaussian"].value
        True
    """
    task.require_gaussian_tokens("the comparison of subsets")
    setting, seed = fixed_task(
        model, task, demonstrations=demonstrations, shots=shots, samples=samples, key=key, task_vector=task_vector
    )
    if setting.mlp is not None:
        hint = "use bound_ladder, which has noise that is fresh in every layer"
        raise checks.error("model for the comparison of subsets", "a ReLU MLP", "a linear MLP, or none", hint)
    clip = checks.number("clip", clip, low=0.0, strict=True, hint="clip the loss at a positive value")
    count = setting.demonstrations
    if count - 1 < setting.coordinates:
        got = f"N - 1 = {count - 1} below d_S = {setting.coordinates}"
        raise checks.error("demonstrations", got, "N - 1 ≥ d_S", "use more of them")
    fresh = draw(setting, np.random.default_rng(seed), samples)
    (noise, last), (subset_noise, subset_last) = (
        layer_noise(setting, draws) for draws in (fresh, with_subset(fresh, setting))
    )
    observed_last = simulate(setting, with_one_observation(fresh)).accumulated
    information = _information(setting, seed, samples, clip)
    return SharedSubsets(
        [_ratio((s**2).sum((1, 2)), (f**2).sum((1, 2))) for s, f in zip(subset_noise, noise, strict=True)],
        correlation_with_first(subset_noise),
        correlation_with_first(noise),
        _shift(subset_last, last),
        information,
        {
            name: generalization_bound(i, range_constant=clip / 2, demonstrations=count)
            for name, i in information.items()
        },
        _gap(setting, observed_last, fresh.tokens, clip),
        _gap(setting, subset_last, fresh.tokens, clip),
        _gap(setting, last, fresh.tokens, clip),
    )


def _information(setting: Setting, seed: int, samples: int, clip: float) -> dict[str, Estimate]:
    """I(X; H_s) of one observation from above, by the sandwich and by the Gaussian prior, and the fresh path.

    Identity weights give the observation itself: the map X → W is then X itself, which loses nothing.
    """
    eye = np.eye(setting.model.token_dim)[None]
    one = replace(setting, model=Model(eye, eye, eye, readout=setting.model.readout))
    observation = ladder_of(one, Batches(one, seed, samples), clip, None).information
    fresh = ladder_of(setting, Batches(setting, seed, samples), clip, FEWEST_RUNS).information
    return {
        "mutual_information": observation["mutual_information"],
        "gaussian": observation["gaussian"],
        "fresh_path_gaussian": fresh["path_gaussian"],
    }
