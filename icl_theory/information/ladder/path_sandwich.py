"""The sandwich of one batch of runs: which channels the path consists of, and both ends of the information."""

from typing import NamedTuple

import numpy as np

from icl_theory.core.estimate import Estimate
from icl_theory.information.covariance_roots import with_floor
from icl_theory.information.estimators.channel import Channel, PathChannel, SharedChannel
from icl_theory.information.estimators.sandwich import Sandwich, sandwich
from icl_theory.information.ladder.individual_sample import individual_information
from icl_theory.information.ladder.noisy_trajectory import Runs
from icl_theory.information.ladder.path_prior import Reference, path_log_density
from icl_theory.information.ladder.setting import Setting

_PATH_PAIRS = 256  # outputs in a path sandwich whose maps depend on the path: a Cholesky factor per pair
_PAIRS = 4096


class PathSandwich(NamedTuple):
    """Estimates of the information from pairs of runs, in nats."""

    sandwich: Sandwich
    """Both ends of I(W_{1:L}; H_s)."""
    individual: Estimate
    """Σ_i I(W; h_i) from above."""
    influence: np.ndarray
    """Of every pair on `individual`, shape (K,), as in `Sandwich`; empty where that is infinite or 0."""


def path_sandwich(runs: Runs, setting: Setting, reference: Reference, pairs: int | None, reason: str) -> PathSandwich:
    """Both ends of I(W_{1:L}; H_s), and Σ_i I(W; h_i) from above; infinite with the reason where there is one."""
    nothing = np.zeros(0)
    if reason:
        found = Sandwich.infinite(reason)
        return PathSandwich(found, found.upper, nothing)
    channels = path_channels(runs, setting, pairs)
    if not channels:
        return PathSandwich(Sandwich(Estimate(0.0), Estimate(0.0), False), Estimate(0.0), nothing)
    prior = path_log_density(runs, setting, reference)[: channels[0].samples]
    found = sandwich(channels, prior=prior)
    return PathSandwich(found, *individual_information(runs, setting, channels, found, channels[0].samples))


def path_channels(runs: Runs, setting: Setting, pairs: int | None) -> list[Channel]:
    """The path as independent observations of S, in shared coordinates where a map is fixed or invertible."""
    channels: list[Channel] = []
    free = [i for i, x in enumerate(runs.layers) if x.cancels]
    rest = [i for i, x in enumerate(runs.layers) if not x.cancels and x.dimension > 0]
    fixed = [i for i in rest if len(runs.layers[i].maps) == 1]
    moving = [i for i in rest if len(runs.layers[i].maps) > 1]
    cap = _PATH_PAIRS if moving else _PAIRS
    kept = slice(0, min(len(runs.draws.moments), cap if pairs is None else pairs))
    if free:
        channels.append(
            SharedChannel.of(
                runs.draws.observations[kept][:, free], runs.draws.moments[kept], runs.draws.noise_root[kept]
            )
        )
    for index in fixed:
        layer = runs.layers[index]
        root = with_floor(layer.maps @ runs.draws.noise_root[kept], setting.floor)
        means = runs.draws.moments[kept] @ layer.maps[0].T
        channels.append(SharedChannel.of(layer.outputs[kept][:, None], means, root))
    for index in moving:
        layer = runs.layers[index]
        channels.append(
            PathChannel(
                layer.outputs[kept],
                layer.maps[kept],
                runs.draws.moments[kept],
                runs.draws.noise_root[kept],
                setting.floor,
            )
        )
    return channels
