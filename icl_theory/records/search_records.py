"""Searches for a truncation that helps, as plain records, their rows and their summary over models."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import stdtrit

from icl_theory.core.estimate import Estimate
from icl_theory.records.tables import csv_text

LEVEL = 0.95
"""Share of the intervals that cover the mean."""


def plain_estimate(estimate: Estimate) -> dict[str, Any]:
    """Value, standard error and 95 % interval."""
    return {"value": estimate.value, "stderr": estimate.stderr, "interval": list(estimate.interval())}


def search_entry(found: Any, place: dict[str, int]) -> dict[str, Any]:
    """A `ClippingSearch` as a record; `place` says which model and which search it was."""
    metric = found.in_metric
    return place | {
        "condition_numbers": list(map(float, found.condition_numbers)),
        "top": list(found.top),
        "test_loss": plain_estimate(found.test_loss),
        "chosen": _layer(found.chosen),
        "random_layer": plain_estimate(found.random_layer),
        "in_metric": None if metric is None else _layer(metric),
        "layers": [_layer(layer) for layer in found.layers],
    }


def _layer(found: Any) -> dict[str, Any]:
    """One layer's search: what was tried, what was chosen, what it gained."""
    return {
        "layer": found.layer,
        "ranks": list(found.ranks),
        "validation": [plain_estimate(gain) for gain in found.validation],
        "test": [plain_estimate(gain) for gain in found.test],
        "rank": found.rank,
        "rate": found.rate,
        "validation_gain": plain_estimate(found.validation_gain),
        "test_gain": plain_estimate(found.test_gain),
        "optimism": plain_estimate(found.optimism),
    }


def shares(entries: Sequence[dict[str, Any]], *path: str) -> dict[str, Any] | None:
    """A gain over the untouched model's test loss: the mean over models of means over searches.

    Models are independent, searches of one model are not: the interval is Student's t over models. None where some
    entry has no such gain.

    Args:
        entries: as `search_entry` makes them.
        path: where the gain stands in an entry.
    """
    by_model: dict[int, list[float]] = {}
    for entry in entries:
        found: Any = entry
        for name in path:
            found = found[name]
            if found is None:
                return None
        by_model.setdefault(entry["seed"], []).append(found["value"] / entry["test_loss"]["value"])
    values = np.array([np.mean(found) for found in by_model.values()])
    result: dict[str, Any] = {"models": len(values), "mean": float(values.mean()), "low": None, "high": None}
    if len(values) > 1:
        half = float(stdtrit(len(values) - 1, (1 + LEVEL) / 2) * values.std(ddof=1) / np.sqrt(len(values)))
        result |= {"low": result["mean"] - half, "high": result["mean"] + half}
    return result | {"gained": int((values > 0).sum()), "lost": int((values < 0).sum())}


COMPARED = {
    "chosen": ("chosen", "test_gain"),
    "validation": ("chosen", "validation_gain"),
    "random_layer": ("random_layer",),
    "in_metric": ("in_metric", "test_gain"),
}
"""What a summary compares: the choice, the same where it was chosen, and two other choices."""


def search_summary(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """`shares` of every gain in `COMPARED`, by name."""
    return {name: shares(entries, *path) for name, path in COMPARED.items()}


def search_csv(entries: Sequence[dict[str, Any]]) -> str:
    """One row per (model, search, layer, rank): gains on validation and test prompts, and which were chosen."""
    rows = []
    for entry in entries:
        for layer in entry["layers"]:
            for rank, validation, test in zip(layer["ranks"], layer["validation"], layer["test"], strict=True):
                row = {"seed": entry["seed"], "search": entry["search"], "layer": layer["layer"], "rank": rank}
                row |= {"condition_number": entry["condition_numbers"][layer["layer"]]}
                row |= {"validation_gain": validation["value"], "validation_gain_stderr": validation["stderr"]}
                row |= {"test_gain": test["value"], "test_gain_stderr": test["stderr"]}
                best = rank == layer["rank"]
                row |= {"best_of_layer": best, "chosen": best and layer["layer"] == entry["chosen"]["layer"]}
                rows.append(row | {"test_loss": entry["test_loss"]["value"]})
    return csv_text(list(rows[0]), rows)
