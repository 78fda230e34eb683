"""Bound against rank on the page: the means over seeds and tasks that the sweep's figure shows, drawn and listed."""

from collections.abc import Sequence
from typing import Any

from icl_theory.records.documents import from_plain
from icl_theory.records.sweep_means import (
    averaged_over,
    estimate_at,
    forward_pass_bounds_of,
    over_ranks,
    over_tasks,
    support_at,
)
from icl_theory.report.page.axes import spelled
from icl_theory.report.page.sweep_plot import bound_plots


def sweep_view(records: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """What sweep.html shows: one row per (layer, module, rank); None without a sweep. Units of the loss."""
    if not records:
        return None
    names, forward = list(records[0]["rungs"]), forward_pass_bounds_of(records)
    paths = [("gap",), *(("rungs", name) for name in names)]
    others = [("population_loss",), ("population_risk",)]
    if forward:
        others += [("forward_pass", "gap"), *(("forward_pass", "rungs", name) for name in forward)]
    places = dict.fromkeys((r["module"], r["layer"], r["rank"]) for r in records)
    return {
        "rungs": [name.replace("_", " ") for name in names],
        "forward": [f"forward pass: {name.replace('_', ' ')}" for name in ("gap", *forward)] if forward else [],
        "plots": bound_plots(records),
        "rows": [_row(records, place, paths) for place in places],
        "others": [_row(records, place, others, spread=True) for place in places],
        "averaged": averaged_over(records),
        "trivial": spelled(from_plain(records[0]["trivial"])),
    }


def _row(
    records: Sequence[dict[str, Any]], place: tuple[Any, ...], paths: Sequence[tuple[str, ...]], spread: bool = False
) -> dict[str, Any]:
    """The module, and the cells behind it; `spread` puts the gap's deviation over tasks in place of d_S."""
    module, layer, rank = place
    own = [r for r in records if (r["module"], r["layer"], r["rank"]) == place]
    supports = sorted({support_at(record) for record in own})
    dimension = "–".join(map(str, dict.fromkeys((supports[0], supports[-1]))))
    numbers = [spelled(float(over_ranks(own, estimate_at(*path))[1][0])) for path in paths]
    if spread:
        gaps = over_tasks(own, estimate_at("gap"))
        dimension = spelled(float(gaps.std(ddof=1)), 2) if len(gaps) > 1 else "–"
    return {"module": module, "cells": [layer, rank, dimension, *numbers]}
