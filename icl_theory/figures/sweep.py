"""The figures of a sweep other than bound versus rank: information, bound against gap, tightness, layer against rank.

They read the numbers of records, average them over seeds and tasks and draw; nothing is estimated here.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from icl_theory.figures.bound_versus_rank import bound_versus_rank
from icl_theory.figures.style import Z, save, style
from icl_theory.records.documents import from_plain
from icl_theory.records.sweep_means import (
    averaged_over,
    distinct_rungs,
    estimate_at,
    mean_and_error,
    over_ranks,
    require_sweep,
)

Records = Sequence[dict[str, Any]]
_MARKERS = ("o", "s", "^", "D", "v", "P")
_BARS = f", bars ± {Z} standard errors."
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def sweep_figures(records: Records, directory: str | Path, *, formats: Sequence[str] = ("pdf", "png")) -> list[Path]:
    """Every figure that the records can fill: bound_versus_rank, information_versus_support, bound_versus_gap,
    tightness, and with several layers layer_versus_rank.

    Returns: the files written into `directory`.
    Raises: ValueError for unusable records or an unknown format.
    """
    require_sweep(records)
    directory = Path(directory)
    files = bound_versus_rank(records, directory / "bound_versus_rank", formats=formats)
    drawings = {
        "information_versus_support": _information_versus_support,
        "bound_versus_gap": _bound_versus_gap,
        "tightness": _tightness,
    }
    if len({record["layer"] for record in records}) > 1:
        drawings["layer_versus_rank"] = _layer_versus_rank
    for name, draw in drawings.items():
        files += save(lambda draw=draw: draw(records), directory / name, formats)
    return files


def _places(records: Records) -> dict[tuple[int, str], list[dict[str, Any]]]:
    """Records by (layer, module), in their order."""
    groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["layer"], record["module"]), []).append(record)
    return groups


def _name(layer: int, module: str, records: Records) -> str:
    return f"{module}, layer {layer}" if len(records[0]["support"]) > 1 else module


def _note(figure: Figure, records: Records, text: str) -> None:
    words = f"Mean over {averaged_over(records)}{text}"
    figure.text(0.5, 0.06 / figure.get_figheight(), words, ha="center", va="bottom", fontsize=7, color="#333333")


def _information_versus_support(records: Records) -> Figure:
    """Both ends of the sandwich and the Gaussian priors against Σ_t d_t, and the large-N limit of the latter."""
    figure = Figure(figsize=(4.6, 4.0))
    axis = figure.add_axes((0.13, 0.42, 0.84, 0.51))
    sizes = sorted({sum(record["support"]) for record in records})
    by_size = [[record for record in records if sum(record["support"]) == size] for size in sizes]
    for name in [name for name in distinct_rungs(records) if name in ("path_gaussian", "chain", "gaussian")]:
        _against(axis, sizes, by_size, estimate_at("information", name), *style(name))
    _, colour, marker, dashes = style("mutual_information")
    upper, lower = (estimate_at("sandwich", end) for end in ("upper", "lower"))
    _against(axis, sizes, by_size, upper, "sandwich, upper end", colour, marker, dashes)
    _against(axis, sizes, by_size, lower, "sandwich, lower end", colour, "_", (0, (1, 1)))
    if all("large_sample" in record for record in records):
        level = [float(np.mean([from_plain(record["large_sample"]) for record in own])) for own in by_size]
        label = "Gaussian prior, large $N$: $\\sum_t \\frac{1}{2} d_t \\log\\frac{N}{N-b}$"
        axis.plot(sizes, level, color="black", linestyle=":", label=label)
    axis.set(xlabel="dimension of the support, $\\sum_t d_t$", ylabel="nats", title="information and support")
    axis.set_ylim(0, None)
    figure.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0.29), ncols=2)
    saturated = any(record["sandwich"]["saturated"] for record in records)
    _note(figure, records, _BARS + " Lower end saturated at log K in places." * saturated)
    return figure


def _against(axis: Axes, sizes: list[int], groups: list, pick: Any, label: str, colour: str, marker: str, dashes: Any):
    """Means and error bars of one quantity over groups of records."""
    found = [mean_and_error(own, pick) for own in groups]
    mean, error = (np.where([math.isfinite(m) for m, _ in found], part, np.nan) for part in zip(*found, strict=True))
    axis.errorbar(sizes, mean, Z * error, label=label, color=colour, marker=marker, linestyle=dashes, capsize=2)


def _bound_versus_gap(records: Records) -> Figure:
    """One point per (layer, module, rank): the tightest Gaussian bound against the measured gap, and the diagonal."""
    figure = Figure(figsize=(4.6, 4.0))
    axis = figure.add_axes((0.14, 0.2, 0.83, 0.73))
    trivial = from_plain(records[0]["trivial"])
    name = "path_gaussian" if "path_gaussian" in records[0]["rungs"] else "gaussian"
    hidden, smallest = 0, trivial
    for i, ((layer, module), own) in enumerate(_places(records).items()):
        ranks, gap, gap_error = over_ranks(own, estimate_at("gap"))
        _, bound, bound_error = over_ranks(own, estimate_at("rungs", name))
        shown = np.isfinite(bound) & (gap > 0)
        hidden += int((~shown).sum())
        size = 12 + 60 * ranks / ranks.max()
        colour, marker = _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]
        low = np.minimum(Z * gap_error, 0.999 * np.maximum(gap, 0.0))
        across = [low[shown], Z * gap_error[shown]]
        axis.errorbar(gap[shown], bound[shown], Z * bound_error[shown], across, "none", ecolor=colour, elinewidth=0.8)
        marks: dict[str, Any] = {
            "color": colour,
            "marker": marker,
            "zorder": 3,
            "edgecolor": "w",
            "linewidth": 0.5,
        }
        axis.scatter(gap[shown], bound[shown], size[shown], label=_name(layer, module, records), **marks)
        smallest = min([smallest, *gap[shown]])
    axis.set(xscale="log", yscale="log", xlabel="measured gap", ylabel=f"bound: {style(name)[0]}")
    axis.set_title("bound against measured gap, units of the loss")
    ends = [0.4 * smallest, 1.6 * trivial]
    axis.plot(ends, ends, color="black", linewidth=1)
    axis.axhline(trivial, color="black", linestyle=":", linewidth=1)
    axis.set_xlim(*ends)
    axis.set_ylim(*ends)
    axis.text(ends[0] * 1.06, trivial * 1.05, "trivial bound $c$", fontsize=7)
    axis.legend(frameon=False, loc="lower right")
    rest = f" {hidden} point{'s' * (hidden != 1)} without a positive gap or a finite bound left out." * (hidden > 0)
    _note(figure, records, f"{_BARS}\nLarger marks: higher rank. Solid line: bound = gap.{rest}")
    return figure


def _finite(records: Records) -> list[str]:
    """Distinct rungs that are finite somewhere."""
    names = distinct_rungs(records)
    return [n for n in names if any(math.isfinite(from_plain(record["rungs"][n]["value"])) for record in records)]


def _tightness(records: Records) -> Figure:
    """Bound over measured gap for every rung against rank, one panel per (layer, module)."""
    places, names = list(_places(records).items()), _finite(records)
    columns = min(3, len(places))
    rows = math.ceil(len(places) / columns)
    legend = 0.75
    figure = Figure(figsize=(2.5 * columns + 0.6 if columns > 1 else 4.6, 2.2 * rows + legend + 0.35))
    height, width = figure.get_figheight(), figure.get_figwidth()
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True)
    figure.subplots_adjust(0.6 / width, (legend + 0.4) / height, 1 - 0.1 / width, 1 - 0.3 / height, 0.12, 0.45)
    for axis, ((layer, module), own) in zip(axes.flat, places, strict=False):
        ranks, gap, gap_error = over_ranks(own, estimate_at("gap"))
        for name in names:
            _, bound, bound_error = over_ranks(own, estimate_at("rungs", name))
            known = np.isfinite(bound) & (gap > 2 * gap_error)
            ratio = np.divide(bound, gap, out=np.full(len(gap), np.nan), where=known)
            # The gap decides the error; the bar goes as far down as gap + 1.96 e allows and as far up as gap - 1.96 e.
            relative = Z * np.hypot(gap_error / np.abs(gap), bound_error / np.where(known, bound, 1.0))
            _, colour, marker, dashes = style(name)
            bars = [ratio * relative / (1 + relative), ratio * relative]
            axis.errorbar(ranks, ratio, bars, color=colour, marker=marker, linestyle=dashes, capsize=2)
        axis.set(yscale="log", title=_name(layer, module, records), xlabel="rank $r$ kept")
        axis.set_xticks(ranks[:: math.ceil(len(ranks) / 8)])
        axis.axhline(1.0, color="black", linewidth=1)
        axis.grid(axis="y", color="#dddddd", linewidth=0.5)
    for axis in list(axes.flat)[len(places) :]:
        axis.set_visible(False)
    for row in axes:
        row[0].set_ylabel("bound / measured gap")
    handles = [Line2D([], [], color=c, marker=m, linestyle=d, label=text) for text, c, m, d in map(style, names)]
    place: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 0.22 / height)}
    figure.legend(handles=handles, ncols=3 if columns > 1 else 2, frameon=False, **place)
    _note(figure, records, _BARS + " Left out where the gap is within two errors of 0.")
    return figure


def _layer_versus_rank(records: Records) -> Figure:
    """Heat maps, layers against ranks: the bound, the gap and the risk after truncation, one row per module."""
    modules = list(dict.fromkeys(record["module"] for record in records))
    rung = "path_gaussian" if "path_gaussian" in records[0]["rungs"] else "gaussian"
    columns = {
        f"bound: {style(rung)[0]}": estimate_at("rungs", rung),
        "measured gap": estimate_at("gap"),
        "loss of the fixed task": estimate_at("population_loss"),
    }
    layers = sorted({record["layer"] for record in records})
    inner, between, below = 0.3 * len(layers), 0.55, 0.75
    figure = Figure(figsize=(7.5, (inner + between) * len(modules) + below - 0.2))
    axes = figure.subplots(len(modules), 3, squeeze=False)
    height = figure.get_figheight()
    figure.subplots_adjust(0.1, below / height, 0.97, 1 - 0.3 / height, 0.3, between / inner)
    for row, module in zip(axes, modules, strict=True):
        for axis, (title, pick) in zip(row, columns.items(), strict=True):
            ranks = sorted({record["rank"] for record in records if record["module"] == module})
            table = np.full((len(layers), len(ranks)), np.nan)
            for i, layer in enumerate(layers):
                own = [r for r in records if r["module"] == module and r["layer"] == layer]
                found, mean, _ = over_ranks(own, pick) if own else (np.zeros(0, int), np.zeros(0), None)
                table[i, [ranks.index(rank) for rank in found]] = mean
            table = np.where(np.isfinite(table), table, np.nan)
            image = axis.imshow(table, cmap="cividis", aspect="auto", origin="upper")
            axis.set_xticks(range(len(ranks)), [str(rank) for rank in ranks])
            axis.set_yticks(range(len(layers)), [str(layer) for layer in layers])
            axis.set_title(title if module == modules[0] else "")
            axis.set_xlabel("rank $r$ kept")
            axis.spines[:].set_visible(False)
            _label_cells(axis, table, image)
        row[0].set_ylabel(f"{module}\nlayer")
    _note(figure, records, ", in units of the loss. Colours run from the smallest to the largest number of a map.")
    return figure


def _label_cells(axis: Axes, table: np.ndarray, image: Any) -> None:
    """The number in every cell, dark on light and light on dark."""
    for (i, j), value in np.ndenumerate(table):
        dark = np.isfinite(value) and image.norm(value) < 0.5
        text = f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
        axis.text(
            j,
            i,
            text if np.isfinite(value) else "∞",
            ha="center",
            va="center",
            fontsize=5.5,
            color="w" if dark else "k",
        )
