"""Figures from records: reads numbers, averages them over seeds and tasks, draws. Samples nothing."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from icl_theory.figures.style import FORWARD_STYLES, RISK_STYLES, Z, curve, log_axis, save, style
from icl_theory.records.documents import from_plain
from icl_theory.records.sweep_means import (
    Series,
    averaged_over,
    distinct_rungs,
    estimate_at,
    forward_pass_bounds_of,
    lower_end_bound,
    over_ranks,
    over_tasks,
    require_sweep,
    support_at,
)

ROWS_PER_FIGURE = 4
"""(layer, module) pairs in one figure; more of them go into further files."""
LARGE_SPAN = 50
"""Risks that differ by more than this factor are drawn on a logarithmic axis."""


def bound_versus_rank(
    records: Sequence[dict[str, Any]], path_stem: str | Path, *, formats: Sequence[str] = ("pdf", "png")
) -> list[Path]:
    """Gap and bounds, information, and risk against the rank kept: one row of three panels per (layer, module).

    Points are means over seeds and task vectors, with error bars of 1.96 standard errors (see `mean_and_error`); grey
    dots are the gaps of single tasks. The ends of the sandwich I are drawn as sqrt(2 R² I / N), R = c/2. A bound that
    is +inf is named in the legend. Where records have them, the gap of the forward pass of b demonstrations stands
    beside that of the noisy trajectory, with its own bounds.

    Args:
        records: as `rank_sweep` returns them, or as read back from a record file ("inf" for +inf).
        path_stem: where to write, without the ending; each file is replaced in one step.
        formats: "pdf", "png"; equal records give equal bytes with the same matplotlib.

    Returns: the files written; beyond four rows also "<stem>-2" and so on.
    Raises: ValueError for no records, records without a key that is drawn, or an unknown format.
    """
    require_sweep(records)
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["layer"], record["module"]), []).append(record)
    rows = list(groups.items())
    files: list[Path] = []
    for page, start in enumerate(range(0, len(rows), ROWS_PER_FIGURE), 1):
        stem = Path(path_stem)
        stem = stem if page == 1 else stem.with_name(f"{stem.name}-{page}")
        page_rows = rows[start : start + ROWS_PER_FIGURE]
        files += save(lambda page_rows=page_rows: _figure(page_rows), stem, formats)
    return files


def _figure(rows: list[tuple[tuple[int, str], list[dict[str, Any]]]]) -> Figure:
    legend_height = 1.3
    height = 2.2 * len(rows) + legend_height
    figure = Figure(figsize=(7.5, height))
    grid = figure.add_gridspec(
        len(rows),
        5,
        width_ratios=(1.3, 0.22, 1, 0.5, 1),  # the empty columns hold the labels of the vertical axes
        left=0.075,
        right=0.985,
        bottom=(legend_height + 0.4) / height,
        top=1 - 0.25 / height,
        wspace=0.1,
        hspace=0.5,
    )
    axes = [[figure.add_subplot(grid[i, column]) for column in (0, 2, 4)] for i in range(len(rows))]
    for line, ((layer, module), records) in zip(axes, rows, strict=True):
        layers = len(records[0]["support"])
        place = f"{module}, layer {layer} of 0..{layers - 1}" if layers > 1 else module
        _gap_panel(line[0], records, place)
        _information_panel(line[1], records)
        _risk_panel(line[2], records)
        for axis in line:
            _rank_axis(axis, records)
    _legend(figure, [record for _, records in rows for record in records])
    return figure


def _size(name: str) -> dict[str, float]:
    """Rungs that often coincide with the next one stand behind it, with larger markers."""
    return {"markersize": 6.5, "zorder": 1.5} if name == "mutual_information" else {"zorder": 2.5}


def _gap_panel(axis: Axes, records: list[dict[str, Any]], place: str) -> None:
    """The measured gap under every bound, on a logarithmic axis."""
    trivial = from_plain(records[0]["trivial"])
    # The sandwich is that of W: the readout has an information of its own.
    tightest = next((name for name in distinct_rungs(records) if not name.startswith("readout")), None)
    for name in distinct_rungs(records):
        label, colour, marker, dashes = style(name)
        series = over_ranks(records, estimate_at("rungs", name))
        if np.isfinite(series[1]).any():
            curve(axis, series, label, colour, marker, dashes, **_size(name))
        if name == tightest:
            _band(axis, over_ranks(records, lower_end_bound), series, colour)
    axis.axhline(trivial, color="black", linestyle=":", linewidth=1)
    ranks, mean, error = over_ranks(records, estimate_at("gap"))
    positive = mean > 0
    # On a logarithmic axis a bar that reaches 0 ends at the frame, and a mean at or below 0 is marked there.
    floor = 0.4 * (mean[positive].min() if positive.any() else trivial * 1e-3)
    low = np.where(positive, np.minimum(Z * error, np.maximum(mean - floor * 1e-3, 0.0)), 0.0)
    bars = [low[positive], Z * error[positive]]
    axis.errorbar(ranks[positive], mean[positive], bars, color="black", marker="*", markersize=7, capsize=2, zorder=5)
    axis.plot(
        ranks[~positive], np.full((~positive).sum(), 0.02), "k1", transform=axis.get_xaxis_transform(), markersize=9
    )
    _single_tasks(axis, records, floor)
    _forward_pass(axis, records)
    axis.set_yscale("log")
    axis.set_ylim(floor, None)
    log_axis(axis)
    axis.set(title=f"{place}: gap and bounds", ylabel="units of the loss")


def _single_tasks(axis: Axes, records: list[dict[str, Any]], floor: float) -> None:
    """The gap of every task, the mean over seeds: how far one task is from another."""
    if len({record["task"] for record in records}) == 1:
        return
    for rank in sorted({record["rank"] for record in records}):
        gaps = over_tasks([record for record in records if record["rank"] == rank], estimate_at("gap"))
        shown = gaps[gaps > floor]
        axis.plot(np.full(len(shown), rank), shown, ".", color="#999999", markersize=3, zorder=2, linestyle="")


def _forward_pass(axis: Axes, records: list[dict[str, Any]]) -> None:
    """Bounds on the forward pass of b of the N demonstrations, and its gap as hollow stars where it is positive."""
    names = forward_pass_bounds_of(records)
    for name in names:
        label, colour, marker, dashes = FORWARD_STYLES.get(name, style(name))
        curve(axis, over_ranks(records, estimate_at("forward_pass", "rungs", name)), label, colour, marker, dashes)
    if names:
        ranks, mean, _ = over_ranks(records, estimate_at("forward_pass", "gap"))
        axis.plot(ranks[mean > 0], mean[mean > 0], "*", color="black", fillstyle="none", markersize=7, zorder=4)


def _band(axis: Axes, lower: Series, upper: Series, colour: str) -> None:
    """The room between the ends of the sandwich."""
    if np.isfinite(upper[1]).any():
        axis.fill_between(*lower[:2], upper[1], color=colour, alpha=0.25, linewidth=0)


def _information_panel(axis: Axes, records: list[dict[str, Any]]) -> None:
    """What the two tightest rungs say about the information, and the dimension of the support."""
    label, colour, marker, dashes = style("mutual_information")
    upper = over_ranks(records, estimate_at("sandwich", "upper"))
    _band(axis, over_ranks(records, estimate_at("sandwich", "lower")), upper, colour)
    curve(axis, upper, label, colour, marker, dashes, **_size("mutual_information"))
    if "gaussian" in records[0]["information"]:
        label, colour, marker, dashes = style("gaussian")
        curve(axis, over_ranks(records, estimate_at("information", "gaussian")), label, colour, marker, dashes)
    ranks, dimension, _ = over_ranks(records, lambda record: (support_at(record), 0.0))
    right = axis.twinx()
    right.plot(ranks, dimension, color="#666666", marker="_", markersize=8, linestyle=(0, (1, 1.5)), linewidth=1)
    right.set_ylabel("dimension $d_S$ (grey)", color="#666666")
    right.tick_params(colors="#666666")
    right.spines["right"].set(visible=True, color="#666666")
    right.set_ylim(0, None)
    axis.set_ylim(0, None)
    axis.set(title="information and support", ylabel="nats")


def _risk_panel(axis: Axes, records: list[dict[str, Any]]) -> None:
    """What truncation costs: the risk over tasks, and the clipped loss of the fixed task of the bounds."""
    means = []
    for name, (label, colour, marker, dashes) in RISK_STYLES.items():
        series = over_ranks(records, estimate_at(name))
        curve(axis, series, label, colour, marker, dashes)
        means += list(series[1][np.isfinite(series[1])])
    if means and max(means) > LARGE_SPAN * min(means) > 0:
        axis.set_yscale("log")
    else:
        axis.set_ylim(0, None)
    axis.set(title="risk", ylabel="squared error")


def _rank_axis(axis: Axes, records: list[dict[str, Any]]) -> None:
    ranks = sorted({record["rank"] for record in records})
    shown = ranks[:: math.ceil(len(ranks) / 10)]
    axis.set_xticks(shown)
    axis.set_xlim(ranks[0] - 0.4, ranks[-1] + 0.4)
    axis.set_xlabel("rank $r$ kept")
    axis.grid(axis="y", color="#dddddd", linewidth=0.5)
    axis.set_axisbelow(True)


def _legend(figure: Figure, records: list[dict[str, Any]]) -> None:
    """One legend for all panels, with the bounds that are infinite, and why."""
    handles = [Line2D([], [], color="black", marker="*", markersize=7, label="measured gap")]
    if any((over_ranks(own, estimate_at("gap"))[1] <= 0).any() for own in _places(records)):
        handles.append(Line2D([], [], color="black", marker="1", linestyle="", markersize=9, label="gap ≤ 0"))
    if len({record["task"] for record in records}) > 1:
        handles.append(Line2D([], [], color="#999999", marker=".", linestyle="", label="gap of a single task"))
    for name in forward_pass_bounds_of(records):
        label, colour, marker, dashes = FORWARD_STYLES.get(name, style(name))
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=label))
    if forward_pass_bounds_of(records):
        star: dict[str, Any] = {"marker": "*", "fillstyle": "none", "markersize": 7, "linestyle": ""}
        handles.append(Line2D([], [], color="black", label="gap of the forward pass", **star))
    for name in distinct_rungs(records):
        label, colour, marker, dashes = style(name)
        infinite = [r for r in records if not math.isfinite(from_plain(r["rungs"][name]["value"]))]
        if len(infinite) == len(records):
            continue
        if infinite:
            label += " (+∞ at rank " + ", ".join(map(str, sorted({r["rank"] for r in infinite}))) + ")"
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=label))
    handles.append(Line2D([], [], color="black", linestyle=":", linewidth=1, label="trivial bound $c$"))
    for label, colour, marker, dashes in RISK_STYLES.values():
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle=dashes, label=label))
    height = figure.get_figheight()
    figure.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.3 / height), ncols=3, frameon=False, handlelength=3
    )
    figure.text(0.5, 0.08 / height, _notes(records), ha="center", va="bottom", fontsize=7, color="#333333")


def _places(records: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Records by layer and module."""
    places = dict.fromkeys((record["layer"], record["module"]) for record in records)
    return [[r for r in records if (r["layer"], r["module"]) == place] for place in places]


def _notes(records: list[dict[str, Any]]) -> str:
    """Seeds, error bars, saturation, and every bound that is +inf everywhere with its reason."""
    lines = [f"Mean over {averaged_over(records)}, bars ± {Z} standard errors."]
    if any(record["sandwich"]["saturated"] for record in records):
        lines[0] += " Lower end of the band saturated at log K at some ranks."
    for name in records[0]["rungs"]:
        entries = [record["rungs"][name] for record in records]
        if all(not math.isfinite(from_plain(entry["value"])) for entry in entries):
            reason = entries[0].get("note", "").split(", since")[0].split("; ")[0]
            reason = reason.replace("C_t", "$C_t$").replace("d_S", "$d_S$")
            lines.append(f"{style(name)[0]} = +∞" + (f": {reason}" if reason else ""))
    return "\n".join(lines)
