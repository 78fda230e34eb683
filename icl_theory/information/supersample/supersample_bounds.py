"""Bounds for the deterministic forward pass, where I(W; H_s) is infinite, by the conditional information of selections.

A supersample has N pairs of tokens; a fair bit U_i per pair selects the demonstration shown, the other token tests.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate, generalization_bound
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key, generator
from icl_theory.core.results import Result
from icl_theory.information.ladder.losses import BoundedLoss
from icl_theory.information.supersample.predictions import equal_blocks, selection_predictions
from icl_theory.information.supersample.selection_information import (
    information_and_influence,
    selection_statistics,
    selections,
)
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.tasks.base import Task

RUNGS = ("loss_difference_mi", "loss_difference_cmi", "evaluated_cmi", "f_cmi")
LARGEST_ENUMERATION = 12  # N up to which all 2^N selections are run
_DRAWS = 512  # selections per supersample beyond that
_BLOCK_ENTRIES = 2**18  # numbers in the largest array of one block of supersamples: 2 MiB stay in the cache
_MOST_LEVELS = 64


@fields_in_help
@dataclass(frozen=True, repr=False)
class SupersampleBounds(Result):
    """Bounds on the gap E[L_μ(W) - L_{H_s}(W)] of a model that shows all N demonstrations, and the gap itself.

    Example:
        >>> from icl_theory import LinearClassification, one_layer_optimum, supersample_bounds
        >>> task = LinearClassification(2)
        >>> model = one_layer_optimum(task, shots=4)[0]
        >>> found = supersample_bounds(model, task, demonstrations=4, supersamples=8)
        >>> list(found.rungs), found.selections, found.enumerated
        (['loss_difference_mi', 'loss_difference_cmi', 'evaluated_cmi', 'f_cmi'], 16, True)
    """

    rungs: dict[str, Estimate]
    """Bound on the gap by name, in order of the information, in units of the loss."""
    information: dict[str, Estimate]
    """Information about one bit U_i, mean over the pairs, in nats: at most log 2."""
    gap: Estimate
    """Unseen minus seen loss, in units of the loss."""
    population_loss: Estimate
    """Loss on unseen tokens."""
    training: Estimate
    """Loss on the demonstrations shown."""
    trivial: float
    """c, the range of the loss: a bound above it carries no information."""
    selections: int
    """Selections run per supersample."""
    enumerated: bool
    """Whether these are all 2^N, so that everything given a supersample is exact."""
    pointwise: dict[str, np.ndarray] = field(repr=False)
    """Per supersample and pair, shape (supersamples, N): "gap" in units of the loss, and the nats of each rung."""


def _collect(
    run: Callable[[np.ndarray], np.ndarray], pairs: np.ndarray, bits: np.ndarray, options: tuple, outputs: int
) -> dict[str, np.ndarray]:
    """`selection_statistics` of all supersamples (S, N, 2, D), in blocks of bounded memory; `run` predicts."""
    entries = bits.size * 2 * max(outputs, options[-1] or 1)
    blocks = [
        selection_statistics(run(pairs[index]), pairs[index][..., -outputs:], bits, options)
        for index in equal_blocks(len(pairs), _BLOCK_ENTRIES // entries)
    ]
    return {name: np.concatenate([block[name] for block in blocks])[: len(pairs)] for name in blocks[0]}


def _mean(values: np.ndarray, direction: Any, unit: str, note: str = "") -> Estimate:
    """Mean over supersamples (S,) or (S, N) with the standard error over supersamples."""
    return Estimate.from_samples(values.reshape(len(values), -1).mean(axis=1), direction, unit, note)


def _marginal(collected: dict[str, np.ndarray], conditional: Estimate) -> Estimate:
    """I(Δ_i; U_i) without the supersample, from the law of Δ_i averaged over supersamples and pairs."""
    if "laws" not in collected:
        return replace(conditional, note="continuous losses: bounded by the conditional information")
    value, influence = information_and_influence(collected["laws"])
    error = Estimate.from_samples(influence).stderr
    return Estimate(value, error, len(influence), "upper", note="plug-in")


def _summary(collected: dict[str, np.ndarray], count: int, clip: float, enumerated: bool) -> SupersampleBounds:
    information, rungs = {}, {}
    for name in RUNGS[1:]:
        note = "" if enumerated else "plug-in over drawn selections"
        information[name] = _mean(collected[name], "unbiased" if enumerated else "upper", "nats", note)
        if enumerated:
            rungs[name] = _mean(clip * np.sqrt(2 * collected[name]), "upper", "loss")
        else:
            # The plug-in is an upper bound of the information in expectation, its square root need not be.
            rungs[name] = generalization_bound(information[name], range_constant=clip, demonstrations=1)
    information[RUNGS[0]] = _marginal(collected, information[RUNGS[1]])
    rungs[RUNGS[0]] = generalization_bound(information[RUNGS[0]], range_constant=clip, demonstrations=1)
    gap, training = clip * collected["gap"], clip * collected["training"]
    return SupersampleBounds(
        {name: rungs[name] for name in RUNGS},
        {name: information[name] for name in RUNGS},
        _mean(gap, "unbiased", "loss"),
        _mean(training + gap, "unbiased", "loss"),
        _mean(training, "unbiased", "loss"),
        clip,
        count,
        enumerated,
        {"gap": gap} | {name: collected[name] for name in RUNGS[1:]},
    )


def supersample_bounds(
    model: Model,
    task: Task,
    *,
    demonstrations: int,
    supersamples: int,
    key: Key = 0,
    loss: BoundedLoss = "zero_one",
    clip: float = 4.0,
    levels: int | None = 2,
    draws: int | None = None,
    task_vector: Any = None,
) -> SupersampleBounds:
    """gap ≤ (c/N) Σ_i E_z̃ sqrt(2 I(A_i; U_i | Z̃ = z̃)) for a loss in [0, c] and the forward pass of all N tokens.

    Z̃ has N pairs of tokens of one fixed task, U ∈ {0, 1}^N is uniform, the model is shown (z̃_{i,U_i})_i and tested on
    the others; ℓ_{i,u} is its loss at z̃_{i,u}. What is observed about the pair, A_i, names the bound:

    * `f_cmi`: both predictions (their classes for the 0-1 loss);
    * `evaluated_cmi`: both losses (ℓ_{i,0}, ℓ_{i,1});
    * `loss_difference_cmi`: Δ_i = ℓ_{i,1} - ℓ_{i,0};
    * `loss_difference_mi`: I(Δ_J; U_J), J a uniform pair, without conditioning: the least information; the bound
      c sqrt(2 I(Δ_J; U_J)) is often the smallest too, but need not be, since its root is taken of a mean.

    Constant: gap = (1/N) Σ E[(-1)^{U_i} Δ_i]. Were U_i independent of Δ_i, (-1)^{U_i} Δ_i would have mean 0 and
    E exp(λ (-1)^{U_i} Δ_i) = E cosh(λ Δ_i) ≤ exp(λ² c² / 2), so R = c, not c/2; Donsker and Varadhan's inequality
    turns that into E[(-1)^{U_i} Δ_i] ≤ sqrt(2 c² I), given z̃ or not. The rest is data processing. Nothing is required
    of the model, which need not treat its demonstrations alike: pair i is the i-th demonstration, whichever of its
    tokens is shown, and with a causal mask that matters from L = 2 on.

    A *continuous* loss of a deterministic model reveals U by its value alone: I = log 2 and the bound c sqrt(2 log 2)
    exceeds c (`levels=None` shows it). A quantised loss is another loss with another gap; but a loss rounded *at
    random* to `levels` values with its mean kept has the same gap in expectation and less information, so the bounds
    on it are bounds on the gap of the loss requested. That is the default. All these bounds need the model to be run
    on supersamples, which measures the gap as well: they explain it, they do not replace the measurement.

    Up to N = 12 all 2^N selections are run, and what is conditional on a supersample is exact; intervals are over
    supersamples. Beyond, `draws` of them: the plug-in information is too large in expectation (joint convexity), and
    the square root is then taken of the mean, which can only raise the bound.

    Args:
        model: a single model, of any kind.
        task: any that draws its tokens independently, with label noise.
        demonstrations: N ≥ 1.
        supersamples: at least 2.
        key: a jax.random.key or a whole number.
        loss: "zero_one", 1[sign ŷ ≠ sign y] or, for one-hot labels, 1[argmax ŷ ≠ argmax y], with c = 1; or
            "clipped_squared", min(|ŷ - y|², c) with c = `clip` > 0.
        clip: c > 0, in units of the squared label; without effect for the 0-1 loss.
        levels: 2 to 64 values that the clipped loss is rounded to, None for none; the 0-1 loss has two anyway.
        draws: even number of selections per supersample; all 2^N up to N = 12, else 512, if None.
        task_vector: parameters of the task, drawn from `key` if None.

    Returns: `SupersampleBounds`; information in nats, bounds and gap in units of the loss.
    Raises: ValueError for anything out of range, the 0-1 loss of labels that are vectors but no classes, or a model
        that overflows.
    Source: Steinke and Zakynthinou 2020 (arXiv:2001.09122), Harutyunyan et al. 2021 (arXiv:2110.01584), Hellström
    and Durisi 2022 (arXiv:2210.06422), Wang and Mao 2023 (arXiv:2302.02432v3); rounding at random: new.

    Example:
        >>> from icl_theory import LinearClassification, one_layer_optimum, supersample_bounds
        >>> task = LinearClassification(2)
        >>> model = one_layer_optimum(task, shots=4)[0]
        >>> found = supersample_bounds(model, task, demonstrations=4, supersamples=64)
        >>> found.gap.value < found.rungs["f_cmi"].value
        True
    """
    model = checked(model, task.token_dim)
    task.require_tokens("supersample bounds")
    demonstrations = checks.integer("demonstrations", demonstrations, 1, None, "show at least one")
    supersamples = checks.integer("supersamples", supersamples, 2, None, "a standard error needs two")
    clip, levels = _loss(task, loss, clip, levels)
    rng = generator(key)
    vector = _task_vector(task, task_vector, rng)
    draws = _draws(demonstrations, draws)
    tokens = task.sample_tokens(rng, np.repeat(vector[None], supersamples, axis=0), 2 * demonstrations)
    pairs = tokens.reshape(supersamples, demonstrations, 2, -1)
    # Shared by all: both tokens of a pair have one law, so the loss's law is the same for every selection.
    bits = selections(demonstrations, draws, rng)
    run = partial(selection_predictions, model, bits=bits, outputs=task.outputs)
    collected = _collect(run, pairs, bits, (loss, clip, levels), task.outputs)
    return _summary(collected, len(bits), clip, draws is None)


def _loss(task: Task, loss: BoundedLoss, clip: float, levels: int | None) -> tuple[float, int | None]:
    """The range c and the number of levels of a loss that makes sense for the task. Raises: ValueError."""
    clip = checks.number("clip", clip, low=0.0, strict=True, hint="clip the loss at a positive value")
    if checks.choice("loss", loss, get_args(BoundedLoss)) == "zero_one":
        if task.outputs > 1 and not task.classifies:
            got, expected = f"'zero_one' for a {type(task).__name__}", "classes or labels that are numbers"
            raise checks.error("loss", got, expected, "use loss='clipped_squared'")
        return 1.0, 2
    if levels is not None:
        levels = checks.integer("levels", levels, 2, _MOST_LEVELS, "round to a few values, or pass None")
    return clip, levels


def _task_vector(task: Task, given: Any, rng: np.random.Generator) -> np.ndarray:
    """The task's parameters, drawn if not given (and drawn anyway, so that the tokens do not depend on it)."""
    drawn = task.sample_tasks(rng, 1)[0]
    return drawn if given is None else checks.array("task_vector", given, drawn.shape)


def _draws(demonstrations: int, draws: int | None) -> int | None:
    """The number of selections to draw, or None for all of them."""
    if draws is None:
        return None if demonstrations <= LARGEST_ENUMERATION else _DRAWS
    draws = checks.integer("draws", draws, 4, None, "draw a few hundred selections")
    if draws % 2:
        raise checks.error("draws", str(draws), "an even number", "each selection comes with its complement")
    return draws
