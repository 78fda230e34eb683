"""Bound versus rank: the ladder, the gap and the risk before and after truncation of one module of one layer."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from icl_theory import _checks
from icl_theory._numerics import generator
from icl_theory.estimate import Estimate
from icl_theory.information.ladder import Batches, BoundLadder, ladder_of
from icl_theory.information.large_sample import look_information
from icl_theory.information.losses import loss_range
from icl_theory.information.simulation import Setting
from icl_theory.risk import population_risk
from icl_theory.tasks import LinearRegression
from icl_theory.truncation import module_rank, rank_of_rate, truncate_weights
from icl_theory.weights import AttentionWeights, checked

_PAIRED = ("gap", "population", "path_gaussian", "gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired")


def _members(weights: AttentionWeights) -> list[AttentionWeights]:
    return [weights] if weights.seeds is None else [weights.member(seed) for seed in range(weights.seeds)]


def _plain(estimate: Estimate) -> dict[str, Any]:
    """An estimate as a plain dictionary for a record."""
    plain = {"value": estimate.value, "stderr": estimate.stderr, "direction": estimate.direction}
    return plain | ({"note": estimate.note} if estimate.note else {})


def _difference(value: float, stderr: float) -> dict[str, Any]:
    return {"value": value, "stderr": stderr, "interval": list(Estimate(value, stderr).interval())}


def _differences(after: "_Entry", before: "_Entry") -> dict[str, dict[str, Any]]:
    """Differences after - before with their 95 % intervals, in nats for rungs.

    Both ladders ran on the same draws, so most of the sampling noise cancels. The risks' errors are added as if they
    were independent, which is too wide: they share their draws as well.
    """
    result = {}
    for name in _PAIRED:
        if name in after.ladder.terms and name in before.ladder.terms:
            change = after.ladder.terms[name] - before.ladder.terms[name]
            stderr = float(change.std(ddof=1) / np.sqrt(len(change)))
            result[name] = _difference(float(change.mean()), stderr)
    stderr = float(np.hypot(after.risk.stderr, before.risk.stderr))
    result["population_risk"] = _difference(after.risk.value - before.risk.value, stderr)
    return result


class _Entry(NamedTuple):
    """What is computed for one set of weights."""

    ladder: BoundLadder
    risk: Estimate


def _record(entry: _Entry, before: _Entry, setting: Setting) -> dict[str, Any]:
    ladder, risk = entry
    return {
        "support": list(ladder.support),
        "gap": _plain(ladder.gap),
        "clipped_risk": _plain(ladder.population),
        "population_risk": _plain(risk),
        "rungs": {name: _plain(rung) for name, rung in ladder.rungs.items()},
        "information": {name: _plain(rung) for name, rung in ladder.information.items()},
        "sandwich": {
            "lower": _plain(ladder.sandwich.lower),
            "upper": _plain(ladder.sandwich.upper),
            "saturated": ladder.sandwich.saturated,
        },
        "trivial": ladder.trivial,
        "large_sample": sum(look_information(d, setting.demonstrations, setting.shots) for d in ladder.support),
        "change": _differences(entry, before),
    }


def _plan(
    weights: AttentionWeights,
    layers: Iterable[int] | None,
    modules: Sequence[str],
    ranks: list[int] | None,
    rates: list[float] | None,
) -> list[tuple[int, str, int]]:
    """Every (layer, module, rank) asked for, validated before anything is computed."""
    if ranks is not None and rates is not None:
        raise _checks.refuse("rates", "also ranks", "one of the two", "drop one of them")
    chosen = range(weights.layers) if layers is None else layers
    plan = []
    for layer in chosen:
        layer = _checks.integer("layers", layer, 0, weights.layers - 1, "layers are counted from 0")
        for module in modules:
            top = module_rank(weights, module)
            kept = list(range(1, top + 1)) if ranks is None else ranks
            if rates is not None:
                kept = [rank_of_rate(rate, top, top) for rate in rates]
            for rank in kept:
                plan.append((layer, module, _checks.integer("ranks", rank, 0, top, "a rank is at most the side")))
    return list(dict.fromkeys(plan))


def rank_sweep(
    weights: AttentionWeights,
    task: LinearRegression,
    *,
    demonstrations: int,
    shots: int,
    clip: float,
    samples: int,
    key: Any,
    layers: Iterable[int] | None = None,
    modules: Sequence[str] = ("value",),
    ranks: Iterable[int] | None = None,
    rates: Iterable[float] | None = None,
    task_vector: Any = None,
    floor: float = 0.0,
    pairs: int | None = None,
    readout: str = "minus",
    loss: str = "squared",
    progress: Callable[[int, int], None] | None = None,
    finished: Iterable[dict[str, Any]] = (),
    keep: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """The bound ladder, the gap and the population risk for every (seed, layer, module, rank).

    All entries share their draws (common random numbers), so `change`, the paired difference to the untouched model,
    has small error bars. `population_risk` is E (ŷ - y)² over tasks with `shots` demonstrations, exact at L = 1.

    Args:
        weights: a single model or an ensemble with a leading seeds axis, as `train` returns it.
        task, demonstrations, shots, clip, samples, key, task_vector, floor, pairs, readout, loss: as in
            `bound_ladder`.
        layers: counted from 0; all if None. modules: "value", "key", "query", "attention", "mlp" or "all".
        ranks: every rank from 1 to full if None; 0 (removing the module) only if asked for. Named twice, done once.
        rates: clipping rates ξ = 1 - r/side instead of ranks, rounded to a lower rank; rank 0 is refused.
        progress: called with (done, total) after every entry.
        finished: entries of an earlier, interrupted call with equal arguments, taken over as they are.
        keep: called with every new entry as soon as it is finished.

    Returns: one dictionary per entry, of plain numbers; `support` is d_S by layer, information is in nats.
    Raises: ValueError for anything out of range.
    """
    task.require_gaussian_inputs("the bound ladder")
    models = _members(weights)
    plan = _plan(
        checked(models[0]),
        layers,
        modules,
        None if ranks is None else list(ranks),
        None if rates is None else list(rates),
    )
    shots = _checks.integer("shots", shots, 1, demonstrations - 1, "show at least one and not all of them")
    loss_range(loss, clip)  # refuses an unknown loss
    rng = generator(key)
    drawn = task.sample_tasks(rng, 1)[0]
    vector = drawn if task_vector is None else _checks.array("task_vector", task_vector, (task.dim,))
    seed = int(rng.integers(2**62))
    known = {_place(record): record for record in finished}
    records: list[dict[str, Any]] = []
    batches: Batches | None = None

    def entry(setting: Setting, batches: Batches) -> _Entry:
        options = {"shots": shots, "samples": samples, "key": seed % 2**31, "readout": readout}
        risk = population_risk(setting.weights, task, **options)
        return _Entry(ladder_of(setting, batches, clip, pairs, readout, loss), risk)

    for index, model in enumerate(models):
        full = Setting(checked(model, task.token_dimension), task, vector, demonstrations, shots, floor)
        batches = batches or Batches(full, seed, samples)
        before: _Entry | None = None
        for layer, module, rank in plan:
            if (index, layer, module, rank) in known:
                records.append(known[index, layer, module, rank])
            else:
                before = before or entry(full, batches)
                cut = truncate_weights(full.weights, layer=layer, module=module, rank=rank)
                setting = Setting(cut, task, vector, demonstrations, shots, floor)
                place = {"seed": index, "layer": layer, "module": module, "rank": rank}
                place |= {"rate": 1 - rank / module_rank(cut, module), "demonstrations": demonstrations, "shots": shots}
                records.append(place | _record(entry(setting, batches), before, setting))
                if keep is not None:
                    keep(records[-1])
            if progress is not None:
                progress(len(records), len(plan) * len(models))
    return records


def _place(record: dict[str, Any]) -> tuple[int, int, str, int]:
    return record["seed"], record["layer"], record["module"], record["rank"]
