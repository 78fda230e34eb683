"""Bound versus rank: the ladder, the gap and the risk before and after truncation of one module of one layer."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.fingerprints import fingerprint
from icl_theory.core.numerics import Key, generator
from icl_theory.core.progress import Progress
from icl_theory.information.ladder.losses import BoundedLoss, loss_range
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.setting import Setting, fixed_function, ladder_model
from icl_theory.models.checked import checked
from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.models.model import Model
from icl_theory.models.options import Components, Module
from icl_theory.records.journal import SweepJournal
from icl_theory.records.sweep_records import SweepRecords
from icl_theory.tasks.base import Task
from icl_theory.tasks.written import task_or_reason
from icl_theory.truncation.module_truncation import Layers, chosen_layers, module_rank, rank_of_rate
from icl_theory.truncation.sweep_runner import Cuts, Risks, Runner, record_of


def _members(model: Model) -> list[Model]:
    return [model] if model.seeds is None else [model.member(seed) for seed in range(model.seeds)]


def _plan(
    model: Model,
    layer_indices: Iterable[int] | None,
    modules: Sequence[Module],
    ranks: list[int] | None,
    rates: list[float] | None,
    together: bool,
) -> list[tuple[Layers, Module, int]]:
    """Every (layer or layers, module, rank) requested, validated before anything is computed."""
    if ranks is not None and rates is not None:
        raise checks.error("rates", "also ranks", "one of the two", "drop one of them")
    named = range(model.layers) if layer_indices is None else list(layer_indices)
    layers = chosen_layers(named, model, "layer_indices") if together or named else ()
    plan: list[tuple[Layers, Module, int]] = []
    if together and len(layers) < 2:
        raise checks.error("together", f"{len(layers)} layer", "at least two", "name more layers, or leave it out")
    for layer in (layers,) if together else layers:
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
    together: bool = False,
    components: Components = "largest",
    ranks: Iterable[int] | None = None,
    rates: Iterable[float] | None = None,
    tasks: int | None = None,
    task_vector: Any = None,
    floor: float = 0.0,
    pairs: int | None = None,
    loss: BoundedLoss = "clipped_squared",
    progress: Progress | None = None,
    finished: Iterable[dict[str, Any]] = (),
    keep: Callable[[dict[str, Any]], None] | None = None,
    journal: str | Path | None = None,
) -> SweepRecords:
    """The bound ladder, the gap and the population risk for every (task vector, seed, layer, module, rank).

    One random task vector is no guide to another, so several are taken. All entries of one share their draws (common
    random numbers), so `change`, the paired difference to the untouched model, has small error bars. `population_risk`
    is E (ŷ - y)² over all tasks with `shots` demonstrations, exact at L = 1. For Gaussian tokens `forward_pass` holds
    the gap of the forward pass itself, of b of the N, with the Wishart bounds of `forward_pass_bounds`.

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
        together: the layers are truncated at once, to the same rank, instead of one at a time; `layer` of an entry is
            then a text, "0+2" for the first and the third.
        components: "largest", or "smallest" for the r smallest singular components of each matrix.
        ranks: every rank from 1 to full if None; 0 (which removes the module) only if it is listed. A rank listed
            twice is computed once.
        rates: clipping rates ξ = 1 - r/side instead of ranks, rounded to a lower rank; rank 0 is an error.
        tasks: how many functions are drawn from `key`; 8 if None, and 1 with a `task_vector`.
        task_vector: w, shape (d_x,), or a row of `task.sample_tasks`, if it shall be this one alone.
        floor: ε² ≥ 0, variance of the noise floor added on the support, in squared units of W.
        pairs: runs used in the sandwich, as in `bound_ladder`.
        loss: "clipped_squared" (clipped at `clip`) or "zero_one".
        progress: called with (text, done, total) after every entry.
        finished: entries of an earlier, interrupted call with equal arguments, taken over as they are.
        keep: called with every new entry as soon as it is finished.
        journal: a file instead of the two: every entry is written into it as soon as it is finished, and a call with
            equal arguments takes over those that are there. The key must then be a whole number.

    Returns: `SweepRecords`, one dictionary per entry, of plain numbers; `support` is d_S by layer, information is in
        nats. Its `frame` is the table.
    Raises: ValueError for anything out of range, or a journal of other weights, another task or other settings.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, rank_sweep
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> entries = rank_sweep(model, task, demonstrations=20, shots=5, clip=4.0, samples=32, tasks=1)
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
        together,
    )
    shots = checks.integer("shots", shots, 1, demonstrations - 1, "show at least one and not all of them")
    loss_range(loss, clip, task)  # raises for an unknown loss or a clip out of range
    functions = _functions(task, key, tasks, task_vector)
    if journal is not None:
        if finished or keep is not None:
            raise checks.error("journal", "also finished or keep", "one of the two ways", "drop the others")
        sizes = {"demonstrations": demonstrations, "shots": shots, "clip": clip, "samples": samples, "floor": floor}
        sizes |= {"pairs": pairs, "loss": loss} | ({"components": components} if components != "largest" else {})
        kept = _journal(journal, model, task, sizes, functions)
        finished, keep = kept.finished, kept.add
    known = {_place(record): record for record in finished}
    records = SweepRecords()
    risks, cuts = Risks(task, shots, samples, functions[0][1] % 2**31), Cuts(models, task, components)
    for number, (function, seed) in enumerate(functions):
        batches: Batches | None = None
        for index, whole in enumerate(cuts.models):
            attention, mlp = ladder_model(whole, task)
            full = Setting(attention, task, function, demonstrations, shots, floor, mlp)
            batches = batches or Batches(full, seed, samples)
            runner = Runner(whole, full, batches, (clip, loss), risks, seed)
            for layer, module, rank in plan:
                shown = "+".join(map(str, layer)) if isinstance(layer, tuple) else layer
                where = {"task": number, "seed": index, "layer": shown, "module": module, "rank": rank}
                if tuple(where.values()) in known:
                    records.append(known[tuple(where.values())])
                else:
                    cut = cuts.of(index, layer, module, rank)
                    where |= {"rate": 1 - rank / module_rank(cut, module)}
                    where |= {"demonstrations": demonstrations, "shots": shots}
                    after = runner.entry(cut, pairs)
                    records.append(where | record_of(after, runner.before(pairs, after), full))
                    if keep is not None:
                        keep(records[-1])
                if progress is not None:
                    progress("bound versus rank", len(records), len(plan) * len(models) * len(functions))
    return records


def _journal(
    path: str | Path, model: Model, task: Task, settings: dict[str, Any], functions: list[tuple[np.ndarray, int]]
) -> SweepJournal:
    """The journal of a sweep of these weights, this task, these settings and these draws."""
    drawn = [[fingerprint(np.asarray(function)), seed] for function, seed in functions]
    own = {"weights": fingerprint_of(model), "task": task_or_reason(task), "draws": drawn, **model.options}
    return SweepJournal(path, own | settings, resume=True)


def _functions(task: Task, key: Key, tasks: int | None, task_vector: Any) -> list[tuple[np.ndarray, int]]:
    """Functions and the seeds of their runs; the first is the one that `bound_ladder` has under the same key."""
    if task_vector is not None and tasks is not None:
        raise checks.error("tasks", "also a task_vector", "one of the two", "drop one of them")
    count = 8 if tasks is None else checks.integer("tasks", tasks, 1, None, "use at least one")
    rng, result = generator(key), []
    for _ in range(1 if task_vector is not None else count):
        result.append((fixed_function(task, rng, task_vector), int(rng.integers(2**62))))
    return result


def _place(record: dict[str, Any]) -> tuple[int, int, int | str, str, int]:
    return record["task"], record["seed"], record["layer"], record["module"], record["rank"]
