"""Algorithm 1 of Y: which layer to truncate, and how far, chosen on validation prompts and reported on others."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import jax
import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key, float64, generator
from icl_theory.core.results import Result
from icl_theory.models.attention import forward_tokens, predict_each
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.tasks.base import Task
from icl_theory.tasks.prompt import Prompt
from icl_theory.truncation.conditioning import module_condition_number
from icl_theory.truncation.module_truncation import ModuleTruncations, module_rank, rank_of_rate

RATES = (0.0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
"""The clipping rates of Y; most of them mean rank 0 for a small matrix and are an error there."""
Loss = Literal["squared", "zero_one"]


@fields_in_help
@dataclass(frozen=True, repr=False)
class LayerSearch(Result):
    """The ranks tried on one layer, and the one that the validation prompts prefer. Gain = loss before - after.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, search_clipping_rate
        >>> model, task = random_weights(0, layers=2, token_dim=3), LinearRegression(2)
        >>> chosen = search_clipping_rate(model, task, shots=5, prompts=64).chosen
        >>> chosen.ranks, chosen.rate == 1 - chosen.rank / 3
        ((3, 2, 1), True)
    """

    layer: int
    """Counted from 0."""
    ranks: tuple[int, ...]
    """Ranks tried, from the full one down."""
    validation: tuple[Estimate, ...]
    """Gain on the validation prompts by rank; exactly 0 for the full rank."""
    test: tuple[Estimate, ...]
    """The same on the test prompts, which have no part in the choice."""
    rank: int
    """The rank with the largest validation gain; of equal ones the largest rank."""
    rate: float
    """ξ = 1 - rank / full rank."""
    validation_gain: Estimate
    """Gain of the chosen rank where it was chosen: optimistic, as the largest of several noisy numbers."""
    test_gain: Estimate
    """Gain of the chosen rank on untouched prompts: unbiased."""
    optimism: Estimate
    """Validation gain minus test gain."""
    model: Model = field(repr=False)
    """The truncated weights."""


@fields_in_help
@dataclass(frozen=True, repr=False)
class ClippingSearch(Result):
    """The choice of Algorithm 1, and the gains of two other choices.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, search_clipping_rate
        >>> model, task = random_weights(0, layers=3, token_dim=3), LinearRegression(2)
        >>> found = search_clipping_rate(model, task, shots=5, prompts=64, top=2)
        >>> found.chosen.layer == max(found.top)
        True
    """

    condition_numbers: np.ndarray
    """κ₂ of the module by layer, the worst of its matrices, shape (L,); +inf for a singular one."""
    top: tuple[int, ...]
    """The layers with the largest condition numbers, descending."""
    layers: tuple[LayerSearch, ...]
    """Every layer searched by itself."""
    chosen: LayerSearch
    """The deepest of `top`."""
    random_layer: Estimate
    """Test gain of a uniformly random layer, its rank chosen in the same way: the mean over all layers."""
    in_metric: LayerSearch | None
    """The chosen layer truncated in the metric of the validation prompts that enter it: that of its update for linear
    attention, of each matrix's own output for any other (see `truncate_weights`); None for an MLP."""
    test_loss: Estimate
    """Loss of the untouched model on the test prompts."""
    test_losses: np.ndarray = field(repr=False)
    """Loss of every test prompt, of the untouched model and of the chosen one, shape (2, prompts)."""


class _Trial:
    """Losses on one set of validation and one set of test prompts, the same for every model."""

    def __init__(self, base: Model, prompts: tuple[Prompt, Prompt], loss: Loss) -> None:
        self.base, self._prompts, self._loss = base, prompts, loss
        self.before = tuple(self.losses([base], part)[0] for part in range(2))

    def losses(self, models: Sequence[Model], part: int) -> np.ndarray:
        """Loss of every model on every prompt of the validation (0) or test (1) set, shape (models, prompts)."""
        labels = self._prompts[part].y_query
        predictions = predict_each(models, self._prompts[part])
        if self._loss == "squared":
            return ((predictions - labels) ** 2).reshape(len(models), len(labels), -1).sum(2)
        return np.where(predictions * labels > 0, 0.0, 1.0)

    def gains(self, models: Sequence[Model], part: int) -> np.ndarray:
        """Loss before minus loss after, shape (models, prompts); exactly 0 for the untouched model."""
        found = self.before[part] - self.losses(models, part)
        found[[model is self.base for model in models]] = 0.0
        return found

    def estimate(self, values: np.ndarray) -> Estimate:
        """Mean and standard error over prompts."""
        unit = "squared error" if self._loss == "squared" else "error rate"
        return Estimate.from_samples(values, unit=unit)

    def search(
        self, layers: Sequence[int], module: Module, ranks: Sequence[int], inputs: Any = None
    ) -> tuple[list[LayerSearch], np.ndarray]:
        """Each layer's best rank on the validation prompts, and its test gains, shape (layers, prompts)."""
        full = module_rank(self.base, module)
        linear = inputs is not None and self.base.linear_in_moments
        options: Any = {"module": module, "inputs": inputs, "target": "update" if linear else "output"}
        cuts = []
        for layer in layers:
            every = ModuleTruncations(self.base, layer=layer, **options)
            cuts += [self.base if r == full else every[r] for r in ranks]
        shape = len(layers), len(ranks), -1
        validation, test = (self.gains(cuts, part).reshape(shape) for part in range(2))
        found, gains = [], []
        for place, layer in enumerate(layers):
            own = cuts[place * len(ranks) : (place + 1) * len(ranks)]
            found.append(self._layer(layer, ranks, full, own, (validation[place], test[place])))
            gains.append(test[place][ranks.index(found[-1].rank)])
        return found, np.array(gains)

    def _layer(
        self, layer: int, ranks: Sequence[int], full: int, cuts: list[Model], gains: tuple[np.ndarray, np.ndarray]
    ) -> LayerSearch:
        validation, test = (tuple(map(self.estimate, part)) for part in gains)
        best = max(range(len(ranks)), key=lambda i: (validation[i].value, ranks[i]))
        seen, fresh = validation[best], test[best]
        error = math.hypot(seen.stderr, fresh.stderr)
        optimism = Estimate(seen.value - fresh.value, error, fresh.samples, "unbiased", fresh.unit)
        return LayerSearch(
            layer,
            tuple(ranks),
            validation,
            test,
            ranks[best],
            1 - ranks[best] / full,
            seen,
            fresh,
            optimism,
            cuts[best],
        )


def search_clipping_rate(
    model: Model,
    task: Task,
    *,
    shots: int,
    module: Module = "attention",
    rates: Sequence[float] | None = None,
    top: int = 2,
    prompts: int = 1024,
    key: Key = 0,
    loss: Loss = "squared",
) -> ClippingSearch:
    """Truncate the deepest of the `top` layers with the largest κ₂, at the ξ = 1 - r/min(m, n) that validates best.

    Every candidate sees the same prompts (common random numbers), so gains are paired differences. The rank is chosen
    on `prompts` validation prompts and its gain reported on as many others, drawn afterwards from the same key.

    Args:
        model: a single model, of any kind.
        task: draws the prompts.
        shots: N.
        module: "value", "key", "query", "key_query", "attention", "mlp" or "all".
        rates: clipping rates to try, each in [0, 1), in addition to no truncation; every rank from full to 1 if None.
        top: k, from 1 to L.
        prompts: at least 2.
        key: a jax.random.key or a whole number.
        loss: "squared", |ŷ - y|², or "zero_one", sign ŷ ≠ y, for labels ±1.

    Returns: `ClippingSearch`; gains in units of the loss, each with the standard error over prompts.
    Raises: ValueError for a module the weights lack, a rate that means rank 0, or a count or option out of range.
    Source: Y Algorithm 1 (arXiv:2406.03768v2); optimism, random layer and metric: new.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, search_clipping_rate
        >>> model, task = random_weights(0, layers=2, token_dim=3), LinearRegression(2)
        >>> found = search_clipping_rate(model, task, shots=5, prompts=64)
        >>> found.chosen.validation_gain.value >= 0
        True
    """
    model = checked(model, task.token_dim)
    require_loss(loss, task)
    prompts = checks.integer("prompts", prompts, 2, None, "a standard error needs two prompts")
    top = checks.integer("top", top, 1, model.layers, "choose among the layers there are")
    full = module_rank(model, module)
    ranks = _ranks(full, rates)
    conditions = np.array([module_condition_number(model, layer, module) for layer in range(model.layers)])
    # Of equal condition numbers the deeper layer comes first: both can be +inf.
    order = sorted(range(model.layers), key=lambda layer: (conditions[layer], layer), reverse=True)
    seeds = generator(key).integers(2**62, size=2)
    sets = tuple(task.sample(int(seed), prompts, shots) for seed in seeds)
    trial = _Trial(model, (sets[0], sets[1]), loss)
    found, gains = trial.search(range(model.layers), module, ranks)
    deepest = max(order[:top])
    before, in_metric = trial.before[1], None
    if module not in ("mlp", "all") or model.mlp_in is None:
        moments = _moments(model.first_layers(deepest), sets[0])
        in_metric = trial.search([deepest], module, ranks, moments)[0][0]
    return ClippingSearch(
        conditions,
        tuple(order[:top]),
        tuple(found),
        found[deepest],
        trial.estimate(gains.mean(axis=0)),
        in_metric,
        trial.estimate(before),
        np.stack([before, before - gains[deepest]]),
    )


def require_loss(loss: Loss, task: Task) -> None:
    """Raises: ValueError for a loss that is unknown, or does not fit the labels of the task."""
    if checks.choice("loss", loss, get_args(Loss)) != "squared" and task.outputs > 1:
        raise checks.error("loss", f"{loss!r} for labels that are vectors", "labels ±1", "use the squared loss")


def _ranks(full: int, rates: Sequence[float] | None) -> tuple[int, ...]:
    """The full rank and every rank requested, descending, each once."""
    if rates is None:
        return tuple(range(full, 0, -1))
    return tuple(sorted({full, *(rank_of_rate(rate, full, full) for rate in rates)}, reverse=True))


_tokens_after = jax.jit(jax.vmap(lambda *given: forward_tokens(*given)[0], in_axes=(None, 0, 0)))


@float64
def _moments(model: Model, prompts: Prompt) -> np.ndarray:
    """S of the demonstrations of every prompt, as they leave the last layer of the model, shape (prompts, D, D)."""
    tokens = prompts.tokens()
    if model.layers:
        labels = np.zeros((len(tokens), tokens.shape[-1] - prompts.x_query.shape[-1]))
        tokens = np.asarray(_tokens_after(model, tokens, np.concatenate([prompts.x_query, labels], 1)))
    return np.swapaxes(tokens, 1, 2) @ tokens / tokens.shape[1]
