"""The sweep of `rank_sweep` over something else than the rank: demonstrations shown, N, or the depth."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from icl_theory.core import checks
from icl_theory.models.model import Model
from icl_theory.records.sweep_records import SweepRecords
from icl_theory.tasks.base import Task
from icl_theory.truncation.module_truncation import module_rank
from icl_theory.truncation.rank_sweep import rank_sweep

Over = Literal["rank", "shots", "demonstrations", "depth"]


def sweep(model: Model, task: Task, *, over: Over, values: Iterable[int], **options: Any) -> SweepRecords:
    """Bounds, gap and risk at every value of b, of N, of the number of layers, or of the rank.

    The same key at every value: the draws of one b are not those of another, but a rerun gives the same numbers.

    Args:
        model: a single model or an ensemble, as in `rank_sweep`; for "depth" its first layers are the smaller models.
        task: as in `bound_ladder`.
        over: "shots" (b), "demonstrations" (N), "depth" (L) or "rank".
        values: whole numbers, in the order of the entries.
        options: of `rank_sweep`, without the one that is swept over; with a journal, a file beside it for every value.
            One module of one layer at full rank, "value" of the first, if no modules, layer_indices and ranks are
            given: the untouched model.

    Returns: `SweepRecords`; every entry has `shots`, `demonstrations`, and for "depth" `depth`.
    Raises: ValueError for no values, one that is listed among the options, or a depth that the model does not have.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, sweep
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> options = {"demonstrations": 40, "clip": 4.0, "samples": 32, "tasks": 1}
        >>> entries = sweep(model, task, over="shots", values=(5, 10, 20), **options)
        >>> [(entry["shots"], entry["rank"]) for entry in entries]
        [(5, 3), (10, 3), (20, 3)]
    """
    over = checks.choice("over", over, ("rank", "shots", "demonstrations", "depth"))
    chosen = list(dict.fromkeys(values))
    if not chosen:
        raise checks.error("values", "none", "at least one number", f"name the values of {over}")
    name = {"rank": "ranks"}.get(over, over)
    if name in options:
        raise checks.error(name, f"{options[name]!r} as an option", f"none in a sweep over {over}", "drop it")
    options = {"layer_indices": [0], **options}
    if over == "rank":
        return rank_sweep(model, task, ranks=chosen, **options)
    if "ranks" not in options and "rates" not in options:
        options["ranks"] = [module_rank(_first(model), module) for module in options.get("modules", ("value",))][:1]
    found = SweepRecords()
    for value in chosen:
        if over == "depth":
            value = checks.integer("values", value, 1, model.layers, "the model has no more layers")
            found += [
                entry | {"depth": value}
                for entry in rank_sweep(_shallow(model, value), task, **_at(options, over, value, {}))
            ]
        else:
            found += rank_sweep(model, task, **_at(options, over, value, {over: value}))
    return found


def _at(options: dict[str, Any], over: Over, value: int, more: dict[str, Any]) -> dict[str, Any]:
    """The options at one value, with a journal of its own."""
    journal = options.get("journal")
    if journal is not None:
        path = Path(journal)
        more = more | {"journal": path.with_name(f"{path.stem}_{over}_{value}{path.suffix}")}
    return options | more


def _first(model: Model) -> Model:
    return model if model.seeds is None else model.member(0)


def _shallow(model: Model, layers: int) -> Model:
    """The first layers, of every member."""
    if model.seeds is None:
        return model.first_layers(layers)
    import jax
    import numpy as np

    members = [model.member(seed).first_layers(layers) for seed in range(model.seeds)]
    return jax.tree.map(lambda *matrices: np.stack(matrices), *members)
