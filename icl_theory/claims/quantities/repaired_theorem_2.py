"""The information in the repaired Theorem 2, from its definition."""

import math
from functools import lru_cache
from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import Case, demonstration_sets
from icl_theory.core.binary_kl import binary_kl_bound
from icl_theory.core.estimate import Estimate
from icl_theory.information.ladder.rungs import mean_estimate
from icl_theory.noise.covariance import gradient_noise, sampling_factor


@lru_cache(maxsize=64)
def first_layer_alone(case: Case) -> Case:
    """The first layer of the case alone, the same object at every call, so that its ladder is shared."""
    if case.layers == 1:
        return case
    return case.with_model(case.model.first_layers(1), "first layer")


def repaired_bound(case: Case) -> Estimate:
    """$sqrt(2 R² I / N)$ with $I$ from below: if the gap is smaller than this, it is smaller than the bound.

    The bound itself is estimated from above, and where |G_t|² has heavy tails its error bar says nothing.
    """
    ladder = case.ladder()
    low, root = ladder.low_ends["theorem_2_repaired"], ladder.trivial / 2 * math.sqrt(2 / case.ladder_demonstrations)
    nats = max(low.value, 0.0)
    error = root * low.stderr / (2 * math.sqrt(nats)) if low.stderr and nats else 0.0
    return Estimate(root * math.sqrt(nats), error, low.samples, "unbiased", "loss", low.note)


def repaired_kl_bound(case: Case) -> Estimate:
    """The same information, from below, in the binary relative entropy form: never above the range of the loss."""
    ladder = case.ladder()
    low = ladder.low_ends["theorem_2_repaired"]
    if not math.isfinite(low.value):
        return repaired_bound(case)
    nats = Estimate(max(low.value, 0.0), low.stderr, low.samples)
    options: Any = {"loss_range": ladder.trivial, "demonstrations": case.ladder_demonstrations}
    bound = binary_kl_bound(nats, empirical=ladder.empirical_loss, **options)
    return Estimate(bound.value, bound.stderr, bound.samples, "unbiased", "loss")


@lru_cache(maxsize=64)
def repaired_information(case: Case, floor: float = 0.0, runs: int = 128) -> Estimate:
    """½ {d log(E[||ΔW||² ||I||² + tr C] / d) - E log det_V C} of one layer in nats, from the gradients of every run.

    With a floor C is C + ε² on the support.
    """
    case = first_layer_alone(case)
    value, product = case.model.left_factor()[0], case.model.key[0].T @ case.model.query[0]
    size, factor = case.model.token_dim, sampling_factor(case.ladder_demonstrations, case.ladder_shots)
    squares, logs, width = [], [], 0
    for tokens in demonstration_sets(case)[:runs]:
        gradients = np.einsum("ni,nj->nij", tokens @ value.T, tokens @ product)
        spread = factor * float((gradients.var(axis=0)).sum())
        noise = gradient_noise(case.model, tokens, shots=case.ladder_shots)
        width = noise.rank
        squares.append(float((gradients.mean(axis=0) ** 2).sum()) * size + spread + width * floor)
        logs.append(noise.log_determinant(floor, width))
    square = np.array(squares)
    terms = 0.5 * (width * (np.log(square.mean() / width) + square / square.mean() - 1) - np.array(logs))
    return mean_estimate(terms, "unbiased", "nats")
