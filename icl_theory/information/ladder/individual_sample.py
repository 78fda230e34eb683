"""The individual-sample information Σ_i I(W; h_i) = N I(W; h_1) of exchangeable demonstrations, from above."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from icl_theory.core.estimate import Estimate
from icl_theory.core.numerics import transpose
from icl_theory.core.symmetric import outer_coordinates, symmetric_coordinates
from icl_theory.information.covariance_roots import whitening
from icl_theory.information.estimators.channel import LOG_2PI, Channel, pooled_frame
from icl_theory.information.estimators.sandwich import Sandwich
from icl_theory.information.ladder.large_sample_limit import observation_correction, observation_information
from icl_theory.information.ladder.noisy_trajectory import Runs
from icl_theory.information.ladder.setting import Setting
from icl_theory.noise.covariance import sampling_factor

_AFFORDED = 0.07  # see `resolvable`; at d_S = 3, 6 and 21 the excess N e^I / K was found to be off by a factor of 4


@dataclass(frozen=True)
class ExchangedChannel:
    """log p(w_i | h_1 of run i, the other N - 1 demonstrations of run j): h_1 is exchanged, a change of rank one.

    With s = svec(h hᵀ) pushed to the output's coordinates, m the mean of the others, B their share of the covariance
    (and the floor) and v = s_1 - m: w ~ N(m + v/N, B + g v vᵀ), g = (N-b)/(b N²). By Sherman and Morrison every pair
    costs three products of vectors.
    """

    outputs: np.ndarray
    """w_i, shape (K, n, d)."""
    first: np.ndarray
    """s_1 of run i, shape (K, d)."""
    means: np.ndarray
    """m of run j, shape (K, d)."""
    precision: np.ndarray
    """B⁻¹ of run j, shape (K, d, d)."""
    log_volume: np.ndarray
    """log det B of run j, shape (K,)."""
    demonstrations: int
    """N."""
    bump: float
    """g."""

    @property
    def samples(self) -> int:
        """K."""
        return len(self.outputs)

    def _form(self, points: np.ndarray) -> np.ndarray:
        """(x - m_j)ᵀ B_j⁻¹ (x - m_j) of points (rows, d), shape (rows, K)."""
        pulled = np.einsum("kde,ke->kd", self.precision, self.means)
        square = outer_coordinates(points)
        level = (pulled * self.means).sum(-1)
        return square @ symmetric_coordinates(self.precision).T - 2 * points @ pulled.T + level

    def log_density(self, rows: slice) -> np.ndarray:
        """Σ over observations of log p(w_i | h_1 of run i, others of run j), shape (len(rows), K)."""
        first, share = self.first[rows], 1 / self.demonstrations
        length = self._form(first)  # |v|² in the metric B⁻¹
        grown = 1 + self.bump * length
        coefficients, total = symmetric_coordinates(self.precision).T, np.zeros_like(length)
        for observation in range(self.outputs.shape[1]):
            points = self.outputs[rows, observation]
            apart = points - first
            own = self._form(points)
            across = 0.5 * (own + length - outer_coordinates(apart) @ coefficients)
            residual = own - 2 * share * across + share**2 * length
            along = across - share * length
            total += residual - self.bump * along**2 / grown
        observations, width = self.outputs.shape[1:]
        return -0.5 * (total + observations * (self.log_volume + np.log(grown) + width * LOG_2PI))


def exchanged_channel(runs: Runs, setting: Setting, pairs: int) -> ExchangedChannel | None:
    """The channel above for one layer, or for several whose maps cancel; None where there is no such form."""
    free = all(layer.cancels for layer in runs.layers)
    layer, kept = runs.layers[0], slice(0, pairs)
    if not (free or len(runs.layers) == 1):
        return None
    maps = np.eye(setting.coordinates) if free else layer.maps[0]
    outputs = runs.draws.observations[kept] if free else layer.outputs[kept][:, None]
    floor = np.sqrt(setting.floor) * np.eye(len(maps))[:, : len(maps) if setting.floor > 0 else 0]
    return exchanged(outputs, setting.law.features(runs.draws.inner[kept]) @ maps.T, floor, setting)


def exchanged(
    outputs: np.ndarray, features: np.ndarray, floor: np.ndarray, setting: Setting
) -> ExchangedChannel | None:
    """The channel for outputs (K, n, d) that are noisy means of features (K, N, d); None where B would be singular.

    Args:
        outputs: w_i.
        features: s of every demonstration.
        floor: a root (d, ·) of what a noise floor adds to the covariance; (d, 0) without one.
        setting: N and b.
    """
    total = setting.demonstrations
    if floor.shape[1] == 0 and total - 2 < features.shape[-1]:
        return None
    others = features[:, 1:]
    means = others.mean(axis=1)
    centre, frame = pooled_frame(outputs)
    scale = sampling_factor(total, setting.shots) / total
    root = math.sqrt(scale) * transpose(others - means[:, None])
    root = np.concatenate([root, np.broadcast_to(floor, (len(root), *floor.shape))], axis=-1)
    white, volume = whitening(frame @ root)
    jacobian = 2 * np.linalg.slogdet(frame)[1]
    return ExchangedChannel(
        (outputs - centre) @ frame.T,
        (features[:, 0] - centre) @ frame.T,
        (means - centre) @ frame.T,
        transpose(white) @ white,
        volume - jacobian,
        total,
        scale * (total - 1) / total,
    )


def nested(channels: list[Channel], exchanged: Channel, *, block_entries: int = 2**23) -> tuple[Estimate, np.ndarray]:
    """E[log (1/K) Σ_j p(w_i | h_1, H'_j) - log (1/(K-1)) Σ_{j≠i} p(w_i | H_j)], an upper bound on I(W; h_1) in nats.

    The first mean has the true H'_i among its terms, so its logarithm is at least log p(w_i | h_1) in expectation;
    the second does not, so by Jensen its logarithm is at most log p(w_i). Errors, and the influence (K,) that comes
    with the estimate, as in `sandwich`.
    Source: both inequalities from Poole et al. 2019 (arXiv:1905.06922v1); this use of them is new.
    """
    count = exchanged.samples
    step = max(1, block_entries // count // 32)
    terms, shares = np.empty(count), np.zeros(count)
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        table = exchanged.log_density(rows)
        level = np.asarray(logsumexp(table, axis=1))
        shares += np.exp(table - level[:, None]).sum(axis=0)
        table = sum((channel.log_density(rows) for channel in channels[1:]), channels[0].log_density(rows))
        index = np.arange(rows.start, rows.stop)
        table[index - start, index] = -np.inf
        base = np.asarray(logsumexp(table, axis=1))
        shares -= np.exp(table - base[:, None]).sum(axis=0)
        terms[rows] = level - base + np.log((count - 1) / count)
    influence = terms + shares - shares.mean()
    error = Estimate.from_samples(influence).stderr
    return Estimate(float(terms.mean()), error, count, "upper"), influence


def resolvable(setting: Setting, pairs: int, readout: int | None = None) -> bool:
    """Whether K pairs resolve I(W; h_1) better than I(W; H_s)/N does: N e^I / K below a small fraction of I.

    The excess of `nested` grows like e^I / K, and I is predicted in closed form from the dimensions alone: the method
    is chosen before any number is seen, so that no selection can bias a bound downwards.

    Args:
        setting: N, b, L and the dimension of the tokens.
        pairs: K.
        readout: the dimension of a linear image of one layer's observation, if that is the output.
    """
    layers, total = setting.model.layers, setting.demonstrations
    if readout is None:
        predicted = observation_information(setting.coordinates, total, setting.shots, layers)
        predicted += layers * observation_correction(setting.basis.shape[1], total)
    else:
        predicted = observation_information(readout, total, setting.shots)
    return predicted > 0 and math.log(total) + predicted < math.log(_AFFORDED * predicted * pairs)


def individual_information(
    runs: Runs, setting: Setting, channels: list[Channel], whole: Sandwich, pairs: int
) -> tuple[Estimate, np.ndarray]:
    """Σ_i I(W; h_i) = N I(W; h_1) from above: nested Monte Carlo where the pairs resolve it, else I(W; H_s).

    With it the influence of every pair, see `Sandwich`. Σ_i I(W; h_i) ≤ I(W; H_s) because the demonstrations are
    independent. Source: Bu, Zou and Veeravalli 2020.
    """
    channel = exchanged_channel(runs, setting, pairs) if resolvable(setting, pairs) else None
    return summed(channels, channel, whole, setting)


def summed(
    channels: list[Channel], channel: ExchangedChannel | None, whole: Sandwich, setting: Setting
) -> tuple[Estimate, np.ndarray]:
    """N I(W; h_1) and the influence of every pair: nested, or from I(W; H_s) where there is no exchanged channel."""
    if channel is None:
        note = "Σ I(W; h_i) ≤ I(W; H_s) of independent demonstrations; these pairs resolve nothing sharper"
        return replace(whole.upper, note=note), whole.influence["upper"]
    (one, influence), total = nested(channels, channel), setting.demonstrations
    found = Estimate(total * one.value, total * one.stderr, one.samples, "upper", note="nested Monte Carlo")
    return found, total * influence
