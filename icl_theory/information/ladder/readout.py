"""The readout rung: the information about the demonstrations in what the loss reads, p = ∓W[y, x], and nothing else.

The query is [x_q; 0] and the prediction its label slot, so the loss depends on W through the d_x numbers p alone, and
by data processing gap ≤ sqrt(2 R² I(p; H_s) / N). In one layer p = (row y of W_V) X W_KᵀW_Q[:, x] for a noisy second
moment X: a Gaussian vector given H_s, in as many dimensions as W_KᵀW_Q[:, x] has rank. So truncating W_K or W_Q lowers
this rung and truncating W_V does not, as long as the row y is not lost. New, not in Y (arXiv:2406.03768v2).
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from icl_theory.core.estimate import Estimate
from icl_theory.core.ranks import definite_rank
from icl_theory.information.covariance_roots import whitening
from icl_theory.information.estimators.channel import LOG_2PI, SharedChannel
from icl_theory.information.estimators.sandwich import Sandwich, sandwich
from icl_theory.information.ladder.noisy_trajectory import Runs, Setting, symmetric_matrix
from icl_theory.information.ladder.path_prior import Reference
from icl_theory.noise.covariance import layer_factors

_PAIRS = 4096


class Readout(NamedTuple):
    """I(p; H_s) from above, in nats."""

    information: Estimate
    """An upper bound."""
    influence: np.ndarray
    """Of every pair, shape (K,), as in `Sandwich`; empty where the path's information stands for it, or 0, or ∞."""
    dimension: int | None
    """Of the span of p; None at several layers."""


def readout_rung(runs: Runs, setting: Setting, reference: Reference, pairs: int | None, path: Sandwich) -> Readout:
    """I(p; H_s) at L = 1 by the sandwich of p; at L > 1 the path's information, which is above it.

    It is finite from N - 1 ≥ dim p on, so also where C_t is singular on its support.
    """
    if len(runs.layers) > 1:
        note = "I(p; H_s) ≤ I(W_{1:L}; H_s)"
        return Readout(path.upper if path.upper.value == np.inf else replace(path.upper, note=note), _upper(path), None)
    reading = _reading(runs, setting)
    width = len(reading.map)
    if width == 0:
        return Readout(Estimate(0.0, note="the prediction does not depend on the demonstrations"), np.zeros(0), 0)
    if setting.floor == 0 and setting.demonstrations - 1 < width:
        reason = f"N - 1 = {setting.demonstrations - 1} is below the {width} dimensions of the readout"
        return Readout(Estimate(np.inf, direction="upper", note=reason), np.zeros(0), width)
    draws = runs.draws
    kept = slice(0, min(len(draws.moments), _PAIRS if pairs is None else pairs))
    outputs, means = reading.outputs[kept], draws.moments[kept] @ reading.map.T
    channel = SharedChannel.of(outputs[:, None], means, reading.root(draws.noise_root[kept]))
    found = sandwich([channel], prior=_prior(outputs, reading, reference))
    return Readout(found.upper, _upper(found), width)


def _upper(found: Sandwich) -> np.ndarray:
    return found.influence.get("upper", np.zeros(0))


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
    left, right = layer_factors(model, 0, np.zeros((1, 1)))
    left, right = (left, right) if model.heads is not None else (left[None], right[None])
    sizes = [float(np.abs(part).max()) or 1.0 for part in (left, right)]
    left, right = left / sizes[0], right / sizes[1]
    rows, columns = left[:, -1] @ basis, basis.T @ right[:, :, :size]  # (heads, q), (heads, q, d_x)
    units = symmetric_matrix(np.eye(setting.coordinates), basis.shape[1])
    whole = np.einsum("hq,mqp,hpx->xm", rows, units, columns)
    scale = float((np.linalg.norm(left[:, -1], axis=-1) * np.linalg.norm(right, axis=(-2, -1))).max())
    scale *= float(np.linalg.norm(basis, 2)) ** 2
    options: Any = {"precision": model.precision, "growth": float(len(units)), "size": scale}
    rank = definite_rank("the readout", whole, **options) if scale > 0 else 0
    u, _, vt = np.linalg.svd(whole, full_matrices=False)
    if setting.floor == 0:
        return _Reading(vt[:rank], np.zeros((rank, 0)), runs.draws.observations[:, 0] @ vt[:rank].T)
    turn = u[:, :rank].T
    units_of = layer.support.embed(np.eye(layer.dimension))[:, -1, :size]  # what every coordinate adds to p
    root = np.sqrt(setting.floor) * turn @ units_of.T
    return _Reading(sizes[0] * sizes[1] * turn @ whole, root, layer.increment[:, -1, :size] @ turn.T)


def _prior(outputs: np.ndarray, reading: _Reading, reference: Reference) -> np.ndarray:
    """log q(z) of every pair under the Gaussian prior of the rung `gaussian`, shape (K,)."""
    mean, root = reference
    inverse, volume = whitening(reading.root(root)[None])
    white = (outputs - reading.map @ mean) @ inverse[0].T
    return -0.5 * ((white**2).sum(-1) + volume[0] + len(reading.map) * LOG_2PI)
