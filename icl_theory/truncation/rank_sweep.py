"""Bound versus rank: the ladder, the gap and the risk before and after truncation of one module of one layer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.numerics import Key, generator
from icl_theory.core.progress import Progress
from icl_theory.information.ladder.bound_ladder import BoundLadder, ladder_of
from icl_theory.information.ladder.large_sample_limit import observation_information
from icl_theory.information.ladder.losses import BoundedLoss, loss_range
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.rungs import RUNGS
from icl_theory.information.ladder.setting import Setting, fixed_function, ladder_model
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.risk.population import risk_and_losses
from icl_theory.tasks.base import Task
from icl_theory.truncation.module_truncation import ModuleTruncations, module_rank, rank_of_rate

_PAIRED = {"gap": "gap", "population": "population_loss", "sandwich_lower": "sandwich_lower"} | {
    name: name for name in RUNGS if name != "theorem_2_printed"
}
"""Per-sample terms of a ladder and what their paired difference is called in a record."""


def _members(model: Model) -> list[Model]:
    return [model] if model.seeds is None else [model.member(seed) for seed in range(model.seeds)]


def _plain(estimate: Estimate) -> dict[str, Any]:
    """An estimate as a plain dictionary for a record."""
    plain = {"value": estimate.value, "stderr": estimate.stderr, "direction": estimate.direction}
    return plain | ({"note": estimate.note} if estimate.note else {})


def _difference(value: float, stderr: float) -> dict[str, Any]:
    return {"value": value, "stderr": stderr, "interval": list(Estimate(value, stderr).interval())}


def _differences(after: "_Entry", before: "_Entry") -> dict[str, dict[str, Any]]:
    """Differences after - before with their 95 % intervals, in nats for rungs.

    Both ran on the same draws, so most of the sampling noise cancels. A rung that is infinite, or that had another
    number of pairs, has no such difference and is left out.
    """
    result = {}
    for name, called in _PAIRED.items():
        pair = after.ladder.terms.get(name), before.ladder.terms.get(name)
        if pair[0] is not None and pair[1] is not None and len(pair[0]) == len(pair[1]):
            result[called] = _paired(pair[0], pair[1])
    if after.losses is None or before.losses is None:
        result["population_risk"] = _difference(after.risk.value - before.risk.value, 0.0)
    elif np.isfinite(after.losses).all() and np.isfinite(before.losses).all():
        result["population_risk"] = _paired(after.losses, before.losses)
    return result


def _paired(after: np.ndarray, before: np.ndarray) -> dict[str, Any]:
    change = Estimate.from_samples(after - before)
    return _difference(change.value, change.stderr)


class _Entry(NamedTuple):
    """What is computed for one set of weights."""

    ladder: BoundLadder
    risk: Estimate
    losses: np.ndarray | None
    """The draws behind `risk`, None where it is exact."""


@dataclass(frozen=True)
class _Runner:
    """Runs one model, truncated and untouched, on common draws."""

    model: Model
    """Untouched."""
    full: Setting
    batches: Batches
    loss: tuple[float, BoundedLoss]
    """Clip and kind of loss."""
    risk_options: dict[str, Any]
    untouched: dict[int | None, _Entry] = field(default_factory=dict)

    def entry(self, model: Model, pairs: int | None) -> _Entry:
        clip, loss = self.loss
        setting = self.full.with_model(model)
        ladder = ladder_of(setting, self.batches, clip, pairs, loss)
        return _Entry(ladder, *risk_and_losses(model, setting.task, **self.risk_options))

    def before(self, pairs: int | None, after: _Entry) -> _Entry:
        """The untouched model, its sandwich of as many pairs as that of `after`, so that their pairs match."""
        if pairs not in self.untouched:
            self.untouched[pairs] = self.entry(self.model, pairs)
        count = after.ladder.sandwich.upper.samples
        if 0 < count < self.untouched[pairs].ladder.sandwich.upper.samples:
            return self.before(count, after)
        return self.untouched[pairs]


def _record(entry: _Entry, before: _Entry, setting: Setting) -> dict[str, Any]:
    ladder, risk = entry.ladder, entry.risk
    return {
        "support": list(ladder.support),
        "gap": _plain(ladder.gap),
        "population_loss": _plain(ladder.population_loss),
        "population_risk": _plain(risk),
        "rungs": {name: _plain(rung) for name, rung in ladder.rungs.items()},
        "information": {name: _plain(rung) for name, rung in ladder.information.items()},
        "sandwich": {
            "lower": _plain(ladder.sandwich.lower),
            "upper": _plain(ladder.sandwich.upper),
            "saturated": ladder.sandwich.saturated,
        },
        "trivial": ladder.trivial,
        "large_sample": sum(observation_information(d, setting.demonstrations, setting.shots) for d in ladder.support),
        "change": _differences(entry, before),
    }


def _plan(
    model: Model,
    layer_indices: Iterable[int] | None,
    modules: Sequence[Module],
    ranks: list[int] | None,
    rates: list[float] | None,
) -> list[tuple[int, Module, int]]:
    """Every (layer, module, rank) requested, validated before anything is computed."""
    if ranks is not None and rates is not None:
        raise checks.error("rates", "also ranks", "one of the two", "drop one of them")
    chosen = range(model.layers) if layer_indices is None else layer_indices
    plan = []
    for layer in chosen:
        layer = checks.integer("layer_indices", layer, 0, model.layers - 1, "layers are counted from 0")
        for module in modules:
            top = module_rank(model, module)
            kept = list(range(1, top + 1)) if ranks is None else ranks
            if rates is not None:
                kept = [rank_of_rate(rate, top, top) for rate in rates]
            for rank in kept:
                plan.append((layer, module, checks.integer("ranks", rank, 0, top, "a rank is at most the side")))
    return list(dict.fromkeys(plan))


def rank_sweep(
    model: Model,
    task: Task,
    *,
    demonstrations: int,
    shots: int,
    clip: float,
    samples: int,
    key: Key = 0,
    layer_indices: Iterable[int] | None = None,
    modules: Sequence[Module] = ("value",),
    ranks: Iterable[int] | None = None,
    rates: Iterable[float] | None = None,
    task_vector: Any = None,
    floor: float = 0.0,
    pairs: int | None = None,
    loss: BoundedLoss = "clipped_squared",
    progress: Progress | None = None,
    finished: Iterable[dict[str, Any]] = (),
    keep: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """The bound ladder, the gap and the population risk for every (seed, layer, module, rank).

    All entries share their draws (common random numbers), so `change`, the paired difference to the untouched model,
    has small error bars. `population_risk` is E (ŷ - y)² over tasks with `shots` demonstrations, exact at L = 1.

    Args:
        model: a single model or an ensemble with a leading seeds axis, as `train` returns it.
        task: as in `bound_ladder`.
        demonstrations: N.
        shots: b with 1 ≤ b < N.
        clip: c > 0, in units of the squared label.
        samples: Monte Carlo runs, at least 16.
        key: a jax.random.key or a whole number; the same key gives common random numbers.
        layer_indices: counted from 0; all if None.
        modules: "value", "key", "query", "key_query", "attention", "mlp" or "all".
        ranks: every rank from 1 to full if None; 0 (which removes the module) only if it is listed. A rank listed
            twice is computed once.
        rates: clipping rates ξ = 1 - r/side instead of ranks, rounded to a lower rank; rank 0 is an error.
        task_vector: w, shape (d_x,), or a row of `task.sample_tasks`; drawn from `key` if None.
        floor: ε² ≥ 0, variance of the noise floor added on the support, in squared units of W.
        pairs: runs used in the sandwich, as in `bound_ladder`.
        loss: "clipped_squared" (clipped at `clip`) or "zero_one".
        progress: called with (text, done, total) after every entry.
        finished: entries of an earlier, interrupted call with equal arguments, taken over as they are.
        keep: called with every new entry as soon as it is finished.

    Returns: one dictionary per entry, of plain numbers; `support` is d_S by layer, information is in nats.
    Raises: ValueError for anything out of range.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, rank_sweep
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> entries = rank_sweep(model, task, demonstrations=20, shots=5, clip=4.0, samples=32)
        >>> [(entry["rank"], entry["support"]) for entry in entries]
        [(1, [3]), (2, [5]), (3, [6])]
    """
    models = _members(model)
    ladder_model(models[0], task)  # raises for a model that the ladder does not cover
    plan = _plan(
        checked(models[0], task.token_dim),
        layer_indices,
        modules,
        None if ranks is None else list(ranks),
        None if rates is None else list(rates),
    )
    shots = checks.integer("shots", shots, 1, demonstrations - 1, "show at least one and not all of them")
    loss_range(loss, clip, task)  # raises for an unknown loss or a clip out of range
    rng = generator(key)
    vector = fixed_function(task, rng, task_vector)
    seed = int(rng.integers(2**62))
    known = {_place(record): record for record in finished}
    records: list[dict[str, Any]] = []
    batches: Batches | None = None

    risk_options = {"shots": shots, "samples": samples, "key": seed % 2**31}

    for index, member in enumerate(models):
        attention, mlp = ladder_model(member, task)
        full = Setting(attention, task, vector, demonstrations, shots, floor, mlp)
        batches = batches or Batches(full, seed, samples)
        whole = checked(member, task.token_dim)
        runner = _Runner(whole, full, batches, (clip, loss), risk_options)
        cuts: dict[tuple[int, Module], ModuleTruncations] = {}
        for layer, module, rank in plan:
            if (index, layer, module, rank) in known:
                records.append(known[index, layer, module, rank])
            else:
                if (layer, module) not in cuts:  # one decomposition serves every rank
                    cuts[layer, module] = ModuleTruncations(whole, layer=layer, module=module)
                cut = cuts[layer, module][rank]
                place = {"seed": index, "layer": layer, "module": module, "rank": rank}
                place |= {"rate": 1 - rank / module_rank(cut, module), "demonstrations": demonstrations, "shots": shots}
                after = runner.entry(cut, pairs)
                records.append(place | _record(after, runner.before(pairs, after), full))
                if keep is not None:
                    keep(records[-1])
            if progress is not None:
                progress("bound versus rank", len(records), len(plan) * len(models))
    return records


def _place(record: dict[str, Any]) -> tuple[int, int, str, int]:
    return record["seed"], record["layer"], record["module"], record["rank"]
