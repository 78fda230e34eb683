"""The generalization gap and the bound on it, from what the noisy runs put out and nothing else of the ladder."""

import math
from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import CLIP, Case, demonstration_sets, noisy_outputs
from icl_theory.core.estimate import Estimate
from icl_theory.information.ladder.rungs import mean_estimate

FRESH = 64  # tokens per run that its loss is tested on


@lru_cache(maxsize=64)
def gap_by_hand(case: Case) -> Estimate:
    """Mean clipped squared error of every run's output on fresh tokens minus that on its own demonstrations."""
    outputs, shown = noisy_outputs(case), demonstration_sets(case)
    rng = np.random.default_rng([case.seed, 7])
    tasks = np.broadcast_to(case.task_vector, (len(outputs), len(case.task_vector)))
    fresh = case.task.sample_tokens(rng, tasks, FRESH)
    return mean_estimate(_loss(outputs, fresh) - _loss(outputs, shown), "unbiased", "loss")


def _loss(outputs: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """(1/n) Σ min((ŷ - y)², c) of every run; ŷ is minus what its output adds to the label slot of [x; 0]."""
    predictions = -np.einsum("kj,knj->kn", outputs[:, -1, :-1], tokens[..., :-1])
    return np.minimum((predictions - tokens[..., -1]) ** 2, CLIP).mean(axis=1)


def bound_by_hand(case: Case, name: str, divisor: int = 0) -> float:
    """sqrt(2 (c/2)² I / N) of the rung's information."""
    return math.sqrt(
        2 * (CLIP / 2) ** 2 * case.ladder().information[name].value / (divisor or case.ladder_demonstrations)
    )
