"""A rank sweep as text for a terminal."""

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from icl_theory.records.documents import from_plain
from icl_theory.records.sweep_means import (
    averaged_over,
    distinct_rungs,
    estimate_at,
    forward_pass_bounds_of,
    over_ranks,
    over_tasks,
    require_sweep,
    support_at,
)
from icl_theory.report.terminal.tables import short

_HEADS = {
    "readout_sample": "read-\nout,\nsingle",
    "readout": "read-\nout",
    "individual_sample": "indiv.\nsample",
    "mutual_information": "mut.\ninfo.",
    "path_information": "path\ninfo.",
    "path_gaussian": "path\nGauss",
    "chain": "chain",
    "gaussian": "Gauss",
    "isotropic": "iso.\nmean",
    "isotropic_zero": "iso.\nzero",
    "theorem_2_repaired": "Thm 2\nrep.",
    "theorem_2_printed": "Thm 2\nprt.",
    "wishart_readout": "Wishart\nreadout",
    "wishart": "Wishart",
}


def sweep_table(records: Sequence[dict[str, Any]], width: int = 120) -> Table:
    """Means over seeds and tasks of a rank sweep, one row per (layer, module, rank): d_S, gap, bounds on it, risks.

    Bounds and gap are in units of the loss; ± is one standard error; "spread" is the deviation of the gap over tasks,
    "times gap" the first bound over it. Of equal neighbours one is shown. A layer's index follows its module where
    there are several. A number is never cut: what does not fit into `width` columns is left out, the loosest bounds
    first, and records.csv has it. Raises: ValueError for unusable records.
    """
    require_sweep(records)
    names = distinct_rungs(records)
    columns = _sweep_columns(records, names)
    while names and sum(_column_width(*column) for column in columns) > width and len(names) > 1:
        names = names[:-1]
        columns = _sweep_columns(records, names)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=0)
    for head, _ in columns:
        table.add_column(head, justify="left" if head in ("module", "rank", "d_S") else "right", no_wrap=True)
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _column_width(head: str, cells: list[str]) -> int:
    return 1 + max(len(line) for text in (head, *cells) for line in text.splitlines())


def _sweep_columns(records: Sequence[dict[str, Any]], names: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Head and cells of every column."""
    heads = [_HEADS.get(name) or name.replace("_", "\n") for name in names]
    titles = ("module", "rank", "d_S", "gap", "spread", "times\ngap", *heads, "loss", "risk")
    rows = []
    for place in dict.fromkeys((record["layer"], record["module"], record["rank"]) for record in records):
        own = [r for r in records if (r["layer"], r["module"], r["rank"]) == place]
        layer, module, rank = place
        supports = sorted({support_at(record) for record in own})
        where = f"{module} {layer}" if len(own[0]["support"]) > 1 else module
        gap, error = (float(part[0]) for part in over_ranks(own, estimate_at("gap"))[1:])
        paths = [*(("rungs", name) for name in names), ("population_loss",), ("population_risk",)]
        cells = [short(float(over_ranks(own, estimate_at(*path))[1][0])) for path in paths]
        dimension = "-".join(map(str, dict.fromkeys((supports[0], supports[-1]))))
        gaps = over_tasks(own, estimate_at("gap"))
        spread = f"{gaps.std(ddof=1):.3f}" if len(gaps) > 1 else "-"
        tightest = float(over_ranks(own, estimate_at("rungs", names[0]))[1][0])
        times = short(tightest / gap, 2) if gap > 2 * error else "-"
        rows.append((where, str(rank), dimension, f"{gap:.3f}±{error:.3f}", spread, times, *cells))
    return [(title, list(column)) for title, column in zip(titles, zip(*rows, strict=True), strict=True)]


def forward_pass_table(records: Sequence[dict[str, Any]]) -> Table | None:
    """The gap of the forward pass of b demonstrations and its bounds, means over seeds and tasks; None if not known."""
    names = forward_pass_bounds_of(records)
    if not names:
        return None
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for name in ("module", "rank", "gap of the\nforward pass", *(_HEADS[name] for name in names)):
        table.add_column(name, justify="right" if name != "module" else "left", no_wrap=True)
    for place in dict.fromkeys((record["layer"], record["module"], record["rank"]) for record in records):
        own = [r for r in records if (r["layer"], r["module"], r["rank"]) == place]
        layer, module, rank = place
        where = f"{module} {layer}" if len(own[0]["support"]) > 1 else module
        gap, error = (float(part[0]) for part in over_ranks(own, estimate_at("forward_pass", "gap"))[1:])
        bounds = [short(float(over_ranks(own, estimate_at("forward_pass", "rungs", n))[1][0])) for n in names]
        table.add_row(where, str(rank), f"{gap:.3f}±{error:.3f}", *bounds)
    return table


def rung_notes(records: Sequence[dict[str, Any]]) -> list[str]:
    """What the sweep's table cannot say: the trivial bound, and why a bound is infinite."""
    trivial = short(records[0]["trivial"])
    lines = [f"Means over {averaged_over(records)}, in units of the loss; a bound above {trivial} says nothing."]
    for name in records[0]["rungs"]:
        infinite = [r for r in records if not math.isfinite(from_plain(r["rungs"][name]["value"]))]
        if infinite:
            ranks = ", ".join(map(str, sorted({r["rank"] for r in infinite})))
            where = "" if len(infinite) == len(records) else f" at rank {ranks}"
            lines.append(f"{name}{where} = +inf: {infinite[0]['rungs'][name].get('note', 'no reason recorded')}")
    return lines
