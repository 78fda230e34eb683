"""Bound versus rank for the column of a paper: one panel, the rungs that are named, in the reader's own style."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style as style_sheets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_theory.core import checks
from icl_theory.figures.style import SETTINGS, Z, curve, log_axis, save_figure, style
from icl_theory.records.documents import from_plain
from icl_theory.records.sweep_means import distinct_rungs, estimate_at, over_ranks, require_sweep

COLUMN, PAGE = 3.25, 6.75
"""Inches: one column of a two-column paper, and both."""
USUAL = ("readout_sample", "readout", "mutual_information", "gaussian")
"""Rungs that are drawn where nothing else is said."""
_AXES = {
    "rank": "rank $r$ kept",
    "shots": "demonstrations shown $b$",
    "demonstrations": "demonstrations $N$",
    "depth": "layers $L$",
}


def bound_column(
    records: Sequence[dict[str, Any]],
    *,
    ax: Axes | None = None,
    figsize: tuple[float, float] | None = None,
    layer: int | None = None,
    module: str | None = None,
    rungs: Sequence[str] | None = None,
    over: str = "rank",
    panels: Sequence[tuple[int, str]] | None = None,
    style: str | Mapping[str, Any] | None = None,
) -> Figure:
    """Gap and bounds against the rank kept (or against b, or N) for one module of one layer, in one panel.

    Points are means over seeds and task vectors with bars of 1.96 standard errors; the dotted line is the trivial
    bound. A gap that is not positive has no place on a logarithmic axis: an arrow at the lower edge marks it, and the
    legend says so.

    Args:
        records: as `rank_sweep` returns them, or read back from records.json; of several shots or N if `over` them.
        ax: axes of yours to draw into, legend included, under your own rcParams; None makes a figure.
        figsize: width and height in inches of the figure that is made; 3.25 is a column, 6.75 a page. (3.25, 3.2) for
            one panel, (6.75, 3.2) for several, if None.
        layer: index of the layer, counted from 0; may be left out if the records have one.
        module: "value", "key", ...; may be left out if the records have one.
        rungs: names of bounds, in the order of the legend; readout, mutual information and Gaussian ones if None.
        over: "rank", "shots", "demonstrations" or "depth", as in `sweep`.
        panels: (layer, module) of several panels side by side instead of one `layer` and `module`, on common axes.
        style: a style sheet of matplotlib or rcParams, on top of those of this package; None for these alone.

    Returns: the figure; `save_figure` writes it.
    Raises: ValueError for unusable records, a place or a rung that they do not have, or several of them and none named.

    Example:
        >>> from icl_theory import LinearRegression, random_weights, rank_sweep
        >>> from icl_theory.figures import bound_column
        >>> model, task = random_weights(0, layers=1, token_dim=3), LinearRegression(2, noise_std=0.5)
        >>> entries = rank_sweep(model, task, demonstrations=20, shots=5, clip=4.0, samples=32, tasks=1)
        >>> bound_column(entries, rungs=("readout", "gaussian")).get_size_inches().tolist()
        [3.25, 3.2]
    """
    require_sweep(records)
    checks.choice("over", over, tuple(_AXES))
    if panels is not None and (layer is not None or module is not None or ax is not None):
        raise checks.error("panels", "also a layer, a module or ax", "the panels alone", "drop the others")
    places = [(layer, module)] if panels is None else list(panels)
    shown = [_of(_of(records, "layer", place[0]), "module", place[1]) for place in places]
    if not shown:
        raise checks.error("panels", "none", "at least one (layer, module)", "leave it out for a single panel")
    own = shown[0]
    known = distinct_rungs([record for part in shown for record in part])
    names = [name for name in USUAL if name in known] if rungs is None else list(rungs)
    for name in names:
        checks.choice("rungs", name, tuple(own[0]["rungs"]))
    if ax is not None:
        _draw(ax, own, names, over)
        ax.legend()
        return ax.get_figure()  # pyright: ignore[reportReturnType]
    sheets = [SETTINGS] if style is None else [SETTINGS, style]
    with style_sheets.context(sheets):  # pyright: ignore[reportArgumentType]
        size = figsize or (PAGE if len(shown) > 1 else COLUMN, 3.2)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axis, part, place in zip(axes, shown, places, strict=True):
            _draw(axis, part, names, over)
            if len(shown) > 1:
                axis.set_title(f"{place[1]}, layer {place[0]}")
                axis.label_outer()
        if len(shown) > 1:  # each has chosen a lower end for itself
            axes[0].set_ylim(min(_lowest(part) for part in shown), None)
        columns, found = max(int(size[0] / 2.2), 1), {}
        for axis in axes:
            handles, labels = axis.get_legend_handles_labels()
            found |= {label: handle for handle, label in zip(handles, labels, strict=True) if label not in found}
        figure.legend(
            found.values(),
            found.keys(),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            handlelength=2.6,
            labelspacing=0.3,
        )
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it would move things a little more whenever the figure is drawn
    return figure


def _of(records: Sequence[dict[str, Any]], name: str, wanted: Any) -> list[dict[str, Any]]:
    """The records of one layer, or of one module."""
    there = list(dict.fromkeys(record[name] for record in records))
    if wanted is None and len(there) > 1:
        raise checks.error(name, f"none, and records of {there}", "one of them", f"pass {name}={there[0]!r}")
    if wanted is not None and wanted not in there:
        raise checks.error(name, repr(wanted), f"one of {there}", "name what the sweep has")
    return [record for record in records if wanted is None or record[name] == wanted]


def _draw(axis: Axes, records: list[dict[str, Any]], names: list[str], over: str) -> None:
    placed = [record | {"rank": record[over]} for record in records]  # `over_ranks` groups by this entry
    for name in names:
        label, colour, marker, dashes = style_of(name)
        series = over_ranks(placed, estimate_at("rungs", name))
        if np.isfinite(series[1]).any():
            label = label.partition(", upper")[0]  # the lower end is not drawn here
            missing = "" if np.isfinite(series[1]).all() else " (+∞ left out)"
            curve(axis, series, label + missing, colour, marker, dashes)
    trivial = from_plain(records[0]["trivial"])
    axis.axhline(trivial, color="black", linestyle=":", linewidth=1, label=f"trivial bound {trivial:g}")
    places, mean, error = over_ranks(placed, estimate_at("gap"))
    positive = mean > 0
    floor = _lowest(placed)
    low = np.minimum(Z * error, np.maximum(mean - 1e-3 * floor, 0.0))[positive]
    marks: dict[str, Any] = {"color": "black", "marker": "*", "markersize": 6, "capsize": 2, "zorder": 5}
    axis.errorbar(places[positive], mean[positive], [low, Z * error[positive]], label="measured gap", **marks)
    if not positive.all():
        edge = axis.get_xaxis_transform()
        arrows: dict[str, Any] = {"marker": r"$\downarrow$", "markersize": 8, "linestyle": "", "color": "black"}
        arrows |= {"label": "gap ≤ 0, below the axis", "clip_on": False, "transform": edge}
        axis.plot(places[~positive], np.full((~positive).sum(), 0.04), **arrows)
    axis.set_yscale("log")
    axis.set_ylim(floor, None)
    log_axis(axis)
    ticks = places[:: math.ceil(len(places) / 8)]
    axis.set_xticks(ticks, [f"{place:g}" for place in ticks])
    axis.set_xlabel(_AXES[over])
    axis.set_ylabel("gap and bounds, loss")


def _lowest(records: list[dict[str, Any]]) -> float:
    """The lower end of the axis: below the smallest mean gap that is positive."""
    gaps = over_ranks(records, estimate_at("gap"))[1]
    return 0.4 * float(gaps[gaps > 0].min()) if (gaps > 0).any() else from_plain(records[0]["trivial"]) * 1e-3


style_of = style
"""The look of a rung; under another name, since `style` is an argument above."""


def column_figures(records: Sequence[dict[str, Any]], directory: str | Path) -> list[Path]:
    """A figure of column width for every module of every layer of a sweep, as column_<module>_<layer>.pdf.

    Args:
        records: as `rank_sweep` returns them.
        directory: where to write.
    """
    require_sweep(records)
    places = dict.fromkeys((record["layer"], record["module"]) for record in records)
    return [
        save_figure(bound_column(records, layer=layer, module=module), Path(directory) / f"column_{module}_{layer}.pdf")
        for layer, module in places
    ]
