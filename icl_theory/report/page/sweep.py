"""Bound against rank on the page: the means over seeds that the sweep's figure shows, as a table."""

from collections.abc import Sequence
from typing import Any

from icl_theory.records.documents import from_plain
from icl_theory.records.seed_means import estimate_at, over_ranks
from icl_theory.report.page.axes import spelled


def sweep_view(records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """What sweep.html shows: one row per (layer, module, rank); None without a sweep. Units of the loss."""
    if not records:
        return None
    names = list(records[0]["rungs"])
    paths = [("gap",), *(("rungs", name) for name in names), ("population_loss",), ("population_risk",)]
    places = dict.fromkeys((r["module"], r["layer"], r["rank"]) for r in records)
    return {
        "rungs": [name.replace("_", " ") for name in names],
        "rows": [_row(records, place, paths) for place in places],
        "seeds": len({record["seed"] for record in records}),
        "trivial": spelled(from_plain(records[0]["trivial"])),
    }


def _row(records: Sequence[dict[str, Any]], place: tuple[Any, ...], paths: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """The module, and the cells behind it."""
    module, layer, rank = place
    own = [r for r in records if (r["module"], r["layer"], r["rank"]) == place]
    supports = sorted({record["support"][layer] for record in own})
    dimension = "–".join(map(str, dict.fromkeys((supports[0], supports[-1]))))
    numbers = [spelled(float(over_ranks(own, estimate_at(*path))[1][0])) for path in paths]
    return {"module": module, "cells": [layer, rank, dimension, *numbers]}
