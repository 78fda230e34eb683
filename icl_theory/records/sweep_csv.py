"""A rank sweep as comma-separated values, one row per (task, seed, layer, module, rank)."""

from collections.abc import Sequence
from typing import Any

from icl_theory.records.sweep_means import require_sweep
from icl_theory.records.tables import csv_text

_PLACE = (
    "task",
    "seed",
    "layer",
    "module",
    "rank",
    "rate",
    "demonstrations",
    "shots",
    "depth",
    "trivial",
    "large_sample",
)
_ESTIMATES = ("gap", "population_loss", "population_risk")


def sweep_csv(records: Sequence[dict[str, Any]]) -> str:
    """The records as text: place, d_S of every layer (joined by a space), then value and standard error of everything.

    Columns: `bound_NAME` in units of the loss and `information_NAME` in nats for every rung, both ends of the
    sandwich, `forward_pass_NAME` for the gap of the forward pass and its bounds, and `change_NAME`, the difference to
    the untouched model on the same draws. Cells are spelt as in `csv_text`.

    Raises: ValueError for no records, or records of another kind.
    """
    rows = sweep_rows(records)
    return csv_text(list(dict.fromkeys(name for row in rows for name in row)), rows)


def sweep_rows(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row per record, by column. Raises: ValueError for no records, or records of another kind."""
    require_sweep(records)
    return [_row(record) for record in records]


def _forward_pass(record: dict[str, Any]) -> dict[str, Any]:
    found = record.get("forward_pass", {})
    return {"gap": found["gap"]} | {f"bound_{name}": rung for name, rung in found["rungs"].items()} if found else {}


def _row(record: dict[str, Any]) -> dict[str, Any]:
    row = {name: record[name] for name in _PLACE if name in record}
    row["support"] = " ".join(map(str, record["support"]))
    groups = {
        "": {name: record[name] for name in _ESTIMATES},
        "bound_": record["rungs"],
        "information_": record["information"],
        "sandwich_": {end: record["sandwich"][end] for end in ("lower", "upper")},
        "forward_pass_": _forward_pass(record),
        "change_": record.get("change", {}),
    }
    for prefix, entries in groups.items():
        for name, entry in entries.items():
            row[prefix + name] = entry["value"]
            row[f"{prefix}{name}_stderr"] = entry["stderr"]
    return row | {"saturated": record["sandwich"]["saturated"]}
