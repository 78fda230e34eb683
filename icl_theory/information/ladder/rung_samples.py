"""Single rungs of the ladder, run by run, without the cost of the others."""

from collections.abc import Iterable, Iterator

import numpy as np

from icl_theory.core import checks
from icl_theory.information.ladder.noisy_trajectory import Draws, Runs, simulate
from icl_theory.information.ladder.path_prior import path_divergences
from icl_theory.information.ladder.rungs import Collected, isotropic_terms, layer_terms, reference_of, singular
from icl_theory.information.ladder.setting import Setting


def divergences(setting: Setting, batches: Iterable[Draws]) -> np.ndarray:
    """Σ_t KL(N(G_t, C_t) || prior_t) of every run, in nats, shape (runs,): what the Gaussian rung is the mean of.

    Raises: ValueError where C_t is singular on its support, saying why.
    """
    return np.concatenate([_layer_sum(runs, setting, "divergence") for runs in _resolved(setting, batches)])


def path_saving(setting: Setting, batches: Iterable[Draws]) -> np.ndarray:
    """Gaussian rung minus path-Gaussian rung of every run, in nats, shape (runs,): no other rung is computed.

    Raises: ValueError where C_t is singular on its support, saying why.
    """
    reference = reference_of(setting)
    return np.concatenate(
        [
            _layer_sum(runs, setting, "gaussian") - np.sum(path_divergences(runs, setting, reference), axis=0)
            for runs in _resolved(setting, batches)
        ]
    )


def without_path(setting: Setting, batches: Iterable[Draws]) -> dict[str, np.ndarray]:
    """The rungs "gaussian" and "isotropic" of every run, in nats, shape (runs,), without priors on the path.

    Raises: ValueError where C_t is singular on its support, saying why.
    """
    collected, reference = Collected(), reference_of(setting)
    for runs in _resolved(setting, batches):
        collected.dimensions = [layer.dimension for layer in runs.layers]
        collected.add([layer_terms(x, runs, setting, reference, i) for i, x in enumerate(runs.layers)])
    merged = collected.merged()
    isotropic = isotropic_terms(merged, collected.dimensions, "isotropic")
    return {"gaussian": np.sum([layer["gaussian"] for layer in merged], axis=0), "isotropic": isotropic}


def _resolved(setting: Setting, batches: Iterable[Draws]) -> Iterator[Runs]:
    """The runs of every batch. Raises: ValueError where C_t is singular on its support."""
    for draws in batches:
        runs = simulate(setting, draws)
        if reason := singular(runs, setting):
            raise checks.error("demonstrations", reason, "N - 1 ≥ d_S", "use more of them or a floor")
        yield runs


def _layer_sum(runs: Runs, setting: Setting, name: str) -> np.ndarray:
    """The term of that name, summed over layers, shape (K,)."""
    reference = reference_of(setting)
    return np.sum([layer_terms(x, runs, setting, reference, i)[name] for i, x in enumerate(runs.layers)], axis=0)
