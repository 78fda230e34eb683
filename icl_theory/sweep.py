"""Bound versus rank: the ladder, the gap and the risk before and after truncation of one module of one layer."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from icl_theory import _checks
from icl_theory._numerics import generator
from icl_theory.attention import AttentionWeights, checked
from icl_theory.estimate import Estimate
from icl_theory.information.ladder import Batches, BoundLadder, ladder_of
from icl_theory.information.simulation import Setting
from icl_theory.risk import population_risk
from icl_theory.tasks import LinearRegression
from icl_theory.truncation import module_rank, truncate_weights

_PAIRED = ("gap", "population", "path_gaussian", "gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired")


def _members(weights: AttentionWeights) -> list[AttentionWeights]:
    return [weights] if weights.seeds is None else [weights.member(seed) for seed in range(weights.seeds)]


def _plain(estimate: Estimate) -> dict[str, Any]:
    """An estimate as a plain dictionary for a record."""
    plain = {"value": estimate.value, "stderr": estimate.stderr, "direction": estimate.direction}
    return plain | ({"note": estimate.note} if estimate.note else {})


def _differences(after: BoundLadder, before: BoundLadder) -> dict[str, dict[str, float]]:
    """Paired differences after - before; both ran on the same draws, so most of the sampling noise cancels."""
    result = {}
    for name in _PAIRED:
        if name in after.terms and name in before.terms:
            change = after.terms[name] - before.terms[name]
            stderr = float(change.std(ddof=1) / np.sqrt(len(change)))
            result[name] = {"value": float(change.mean()), "stderr": stderr}
    return result


def _record(ladder: BoundLadder, before: BoundLadder, risk: Estimate) -> dict[str, Any]:
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
        "change": _differences(ladder, before),
    }


def _plan(
    weights: AttentionWeights, layers: Iterable[int] | None, modules: Sequence[str], ranks: Iterable[int] | None
) -> list[tuple[int, str, int]]:
    """Every (layer, module, rank) asked for, validated before anything is computed."""
    chosen = range(weights.layers) if layers is None else layers
    plan = []
    for layer in chosen:
        layer = _checks.integer("layers", layer, 0, weights.layers - 1, "layers are counted from 0")
        for module in modules:
            top = module_rank(weights, module)
            for rank in range(1, top + 1) if ranks is None else ranks:
                plan.append((layer, module, _checks.integer("ranks", rank, 0, top, "a rank is at most the side")))
    return plan


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
    task_vector: Any = None,
    floor: float = 0.0,
    pairs: int | None = None,
    readout: str = "minus",
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """The bound ladder, the gap and the population risk for every (seed, layer, module, rank).

    All entries share their draws (common random numbers), so `change`, the paired difference to the untouched model,
    has small error bars. `population_risk` is E (ŷ - y)² over tasks with `shots` demonstrations, exact at L = 1.

    Args:
        weights: a single model or an ensemble with a leading seeds axis, as `train` returns it.
        task, demonstrations, shots, clip, samples, key, task_vector, floor, pairs, readout: as in `bound_ladder`.
        layers: counted from 0; all if None. modules: "value", "key", "query", "attention", "mlp" or "all".
        ranks: every rank from 1 to full if None; 0 (removing the module) only if asked for.
        progress: called with (done, total) after every entry.

    Returns: one dictionary per entry, of plain numbers; `support` is d_S by layer, information is in nats.
    Raises: ValueError for anything out of range.
    """
    task.require_gaussian_inputs("the bound ladder")
    models = _members(weights)
    ranks = None if ranks is None else list(ranks)
    plan = _plan(checked(models[0]), layers, modules, ranks)
    shots = _checks.integer("shots", shots, 1, demonstrations - 1, "show at least one and not all of them")
    rng = generator(key)
    drawn = task.sample_tasks(rng, 1)[0]
    vector = drawn if task_vector is None else _checks.array("task_vector", task_vector, (task.dim,))
    seed = int(rng.integers(2**62))
    records: list[dict[str, Any]] = []
    batches: Batches | None = None
    for index, model in enumerate(models):
        full = Setting(checked(model, task.token_dimension), task, vector, demonstrations, shots, floor)
        batches = batches or Batches(full, seed, samples)
        before = ladder_of(full, batches, clip, pairs, readout)
        for layer, module, rank in plan:
            cut = truncate_weights(full.weights, layer=layer, module=module, rank=rank)
            setting = Setting(cut, task, vector, demonstrations, shots, floor)
            ladder = ladder_of(setting, batches, clip, pairs, readout)
            risk = population_risk(cut, task, shots=shots, samples=samples, key=seed % 2**31, readout=readout)
            place = {"seed": index, "layer": layer, "module": module, "rank": rank}
            place |= {"demonstrations": demonstrations, "shots": shots}
            records.append(place | _record(ladder, before, risk))
            if progress is not None:
                progress(len(records), len(plan) * len(models))
    return records
