"""The readout rung: the information about the demonstrations in what the loss reads, p = ∓W[y, x], and nothing else.

The query is [x_q; 0] and the prediction its label slot, so the loss depends on W through the d_y d_x numbers p alone,
and by data processing gap ≤ sqrt(2 R² I(p; H_s) / N). In one layer p = (rows y of W_V) X W_KᵀW_Q[:, x] for a noisy
second moment X: a Gaussian vector given H_s, for one output in as many dimensions as W_KᵀW_Q[:, x] has rank. So
truncating W_K or W_Q lowers this rung and truncating W_V does not, as long as the row y is not lost. New, not in Y
(arXiv:2406.03768v2).
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.ranks import definite_rank
from icl_theory.information.covariance_roots import seen_singular, whitening
from icl_theory.information.estimators.channel import LOG_2PI, SharedChannel
from icl_theory.information.estimators.sandwich import sandwich
from icl_theory.information.ladder.individual_sample import exchanged, resolvable, summed
from icl_theory.information.ladder.noisy_trajectory import Runs
from icl_theory.information.ladder.path_prior import Reference, log_normal
from icl_theory.information.ladder.path_sandwich import PathSandwich
from icl_theory.information.ladder.setting import Setting
from icl_theory.noise.covariance import layer_factors

_PAIRS = 4096


class Readout(NamedTuple):
    """I(p; H_s) from above, in nats."""

    information: Estimate
    """I(p; H_s), an upper bound."""
    influence: np.ndarray
    """Of every pair, shape (K,), as in `Sandwich`; empty where there are no pairs."""
    individual: Estimate
    """Σ_i I(p; h_i), an upper bound."""
    individual_influence: np.ndarray
    """Likewise."""
    dimension: int | None
    """Of the span of p; None at several layers."""

    @classmethod
    def known(cls, information: Estimate, dimension: int | None) -> "Readout":
        """Without pairs."""
        return cls(information, np.zeros(0), information, np.zeros(0), dimension)


def readout_rung(runs: Runs, setting: Setting, reference: Reference, pairs: int | None, path: PathSandwich) -> Readout:
    """I(p; H_s) and Σ_i I(p; h_i) at L = 1 by the sandwich of p; at L > 1 those of the path, which are above them.

    They are finite from N - 1 ≥ dim p on, so also where C_t is singular on its support.
    """
    if len(runs.layers) > 1:
        return _of_the_path(path, "I(p; H_s) ≤ I(W_{1:L}; H_s)")
    try:
        reading = _reading(runs, setting)
    except checks.InvalidInputError as error:  # nothing is lost: the information in all of W is known all the same
        return _of_the_path(path, f"I(p; H_s) ≤ I(W; H_s), since the dimension of p is in doubt: {error}")
    width = len(reading.map)
    if width == 0:
        return Readout.known(Estimate(0.0, note="the prediction does not depend on the demonstrations"), 0)
    if setting.floor == 0 and setting.demonstrations - 1 < width:
        reason = f"N - 1 = {setting.demonstrations - 1} is below the {width} dimensions of the readout"
        return Readout.known(Estimate(np.inf, direction="upper", note=reason), width)
    draws = runs.draws
    count = min(len(draws.moments), _PAIRS if pairs is None else pairs)
    root = reading.root(draws.noise_root[:count])
    if reason := _singular(root, setting):
        return Readout.known(Estimate(np.inf, direction="upper", note=reason), width)
    outputs, means = reading.outputs[:count], draws.moments[:count] @ reading.map.T
    channel = SharedChannel.of(outputs[:, None], means, root)
    found = sandwich([channel], prior=_prior(outputs, reading, reference))
    single = None
    if resolvable(setting, count, width):
        features = setting.law.features(draws.inner[:count]) @ reading.map.T
        single = exchanged(outputs[:, None], features, reading.floor, setting)
    return Readout(found.upper, found.influence["upper"], *summed([channel], single, found, setting), width)


def readout_log_ratio(runs: Runs, setting: Setting, reference: Reference) -> tuple[np.ndarray, str]:
    """log p(z | H_s) - log q(z) of the readout of every run of one layer, in nats, shape (K,), q the Gaussian prior.

    With it the reason why it is infinite, or an empty string. Raises: ValueError where its dimension is in doubt.
    """
    reading, draws = _reading(runs, setting), runs.draws
    width, root = len(reading.map), reading.root(draws.noise_root)
    reason = "" if width == 0 else _singular(root, setting)
    if width and not reason and setting.floor == 0 and setting.demonstrations - 1 < width:
        reason = f"N - 1 = {setting.demonstrations - 1} is below the {width} dimensions of the readout"
    if width == 0 or reason:
        return np.full(len(draws.moments), np.inf if reason else 0.0), reason
    own = log_normal(reading.outputs - draws.moments @ reading.map.T, root) - 0.5 * width * LOG_2PI
    return own - _prior(reading.outputs, reading, reference), ""


def _singular(root: np.ndarray, setting: Setting) -> str:
    """Why the covariance of the readout is singular in some runs, or an empty string."""
    if setting.floor > 0 or (setting.law.exact and not setting.law.singular):
        return ""
    if setting.law.singular:
        return f"the covariance of the readout is singular with positive probability: {setting.law.singular}"
    return seen_singular(root)


def _of_the_path(path: PathSandwich, note: str) -> Readout:
    """By data processing what bounds all of W."""
    whole = path.sandwich
    if whole.upper.value == np.inf:
        return Readout.known(whole.upper, None)
    upper = whole.influence.get("upper", np.zeros(0))
    return Readout(replace(whole.upper, note=note), upper, path.individual, path.influence, None)


class _Reading(NamedTuple):
    """z, an invertible image of p, in every run of one layer."""

    map: np.ndarray
    """T, shape (r, m): without a floor z = T svec(X)."""
    floor: np.ndarray
    """A root of what the floor adds to the covariance of z, shape (r, d_t), or (r, 0)."""
    outputs: np.ndarray
    """z, shape (K, r)."""

    def root(self, noise: np.ndarray) -> np.ndarray:
        """A root of the covariance of z for roots (..., m, n) of that of svec(X)."""
        pushed = self.map @ noise
        floor = np.broadcast_to(self.floor, (*pushed.shape[:-1], self.floor.shape[-1]))
        return np.concatenate([pushed, floor], axis=-1)


def _reading(runs: Runs, setting: Setting) -> _Reading:
    """Without a floor in orthonormal coordinates of what X shows of itself, with one in those of the span of p."""
    model, basis, size, layer = setting.model, setting.basis, setting.task.dim, runs.layers[0]
    read = range(len(basis)) if setting.mlp is not None else range(size, len(basis))  # a ReLU reads all of W h
    left, right = layer_factors(model, 0, np.zeros((1, 1)))
    left, right = (left, right) if model.heads is not None else (left[None], right[None])
    sizes = [float(np.abs(part).max()) or 1.0 for part in (left, right)]
    left, right = left / sizes[0], right / sizes[1]
    rows, columns = left[:, read] @ basis, basis.T @ right[:, :, :size]  # (heads, d_y, q), (heads, q, d_x)
    units = setting.law.directions(np.eye(setting.coordinates))
    whole = np.einsum("hyq,mqp,hpx->yxm", rows, units, columns).reshape(-1, len(units))
    scale = float((np.linalg.norm(left[:, read], axis=(-2, -1)) * np.linalg.norm(right, axis=(-2, -1))).max())
    scale *= float(np.linalg.norm(basis, 2)) ** 2
    options: Any = {"precision": model.precision, "growth": float(len(units)), "size": scale}
    rank = definite_rank("the readout", whole, **options) if scale > 0 else 0
    u, _, vt = np.linalg.svd(whole, full_matrices=False)
    if setting.floor == 0:
        return _Reading(vt[:rank], np.zeros((rank, 0)), runs.draws.observations[:, 0] @ vt[:rank].T)
    turn = u[:, :rank].T
    units_of = layer.support.embed(np.eye(layer.dimension))[:, read, :size]  # what every coordinate adds to p
    root = np.sqrt(setting.floor) * turn @ units_of.reshape(layer.dimension, -1).T
    shown = layer.support.embed(layer.outputs)[:, read, :size].reshape(len(layer.outputs), -1)
    return _Reading(sizes[0] * sizes[1] * turn @ whole, root, shown @ turn.T)


def _prior(outputs: np.ndarray, reading: _Reading, reference: Reference) -> np.ndarray:
    """log q(z) of every pair under the Gaussian prior of the rung `gaussian`, shape (K,)."""
    mean, root = reference
    inverse, volume = whitening(reading.root(root)[None])
    white = (outputs - reading.map @ mean) @ inverse[0].T
    return -0.5 * ((white**2).sum(-1) + volume[0] + len(reading.map) * LOG_2PI)
