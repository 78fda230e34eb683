"""Figures that are read off the registered grid."""

from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from icl_theory.figures.paper.parts import common_legend, in_style, panels, series

_OUTCOMES = {"for": ("#0072B2", ""), "undecided": ("#D9D9D9", "...."), "against": ("#8C2D04", "////")}
"""Colour and hatching of cells."""
_HEADS = {"value": "$W_V$", "key": "$W_K$", "query": "$W_Q$", "attention": "attention", "mlp": "MLP"}
_MATRICES = {"mlp_in": "$W_{in}$", "mlp_out": "$W_{out}$", **_HEADS}


@in_style
def clipping_by_layer(data: dict[str, Any]) -> Figure:
    """Change of the test error against the clipping rate, a panel for each module and a row for each population.

    Args:
        data: "populations", each with "name", "unit" and "modules" of series by layer.
    """
    populations = data["populations"]
    columns = max(len(p["modules"]) for p in populations)
    figure, axes = panels(len(populations), columns, wide=True, height=1.75, sharex=True, sharey="row")
    for row, population in zip(axes, populations, strict=True):
        for axis, (module, layers) in zip(row, population["modules"].items(), strict=False):
            for number, layer in enumerate(layers):
                label = f"layer {number}" + (" (first)" if number == 0 else " (last)" * (number == len(layers) - 1))
                series(axis, layer["rates"], layer["mean"], layer["stderr"], label, number)
            axis.axhline(0, color="black", linewidth=0.6)
            axis.set_title(_HEADS[module])
        for axis in row[len(population["modules"]) :]:
            axis.remove()
        row[0].set_ylabel(population["unit"])
        place: dict[str, Any] = {"xycoords": "axes fraction", "annotation_clip": False, "fontweight": "bold"}
        row[0].annotate(population["name"], (0.0, 1.27), **place).set_in_layout(False)  # it is wider than its panel
    for axis in axes[-1]:
        axis.set_xlabel("clipping rate $ξ$")
    common_legend(figure, axes[0, 0], 3)
    # Room for the names above the rows.
    figure.set_layout_engine("constrained", rect=(0.0, 0.0, 1.0, 0.95), h_pad=0.14)
    return figure


@in_style
def clipping_by_shots(data: dict[str, Any]) -> Figure:
    """Change of the test error by clipping the first or the last layer's attention, against the shots.

    Args:
        data: "populations", each with "name", "unit" and "series".
    """
    figure, axes = panels(1, len(data["populations"]), wide=True, height=2.2)
    for axis, population in zip(axes[0], data["populations"], strict=True):
        for number, line in enumerate(population["series"]):
            series(axis, line["shots"], line["mean"], line["stderr"], line["label"], number)
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set(title=population["name"], xlabel="demonstrations shown", ylabel=population["unit"])
    common_legend(figure, axes[0, 0], 2)
    return figure


@in_style
def conditions(data: dict[str, Any]) -> Figure:
    """Condition numbers by layer for every matrix: geometric means over seeds.

    Args:
        data: "populations", each with "name" and "matrices".
    """
    figure, axes = panels(1, len(data["populations"]), wide=True, height=2.2, sharey=True)
    longest = max(range(len(data["populations"])), key=lambda i: len(data["populations"][i]["matrices"]))
    for axis, population in zip(axes[0], data["populations"], strict=True):
        for number, (name, line) in enumerate(population["matrices"].items()):
            layers = range(len(line["mean"]))
            mean, error = np.exp(line["mean"]), np.asarray(line["stderr"])
            series(axis, layers, mean, mean * error, _MATRICES[name], number)
            axis.set_xticks(list(layers))
        axis.set_yscale("log")
        axis.set(title=population["name"], xlabel="layer")
    axes[0, 0].set_ylabel("condition number $κ_2$")
    common_legend(figure, axes[0, longest], 5)
    return figure


@in_style
def algorithm_1(data: dict[str, Any]) -> Figure:
    """Test gain of Algorithm 1 in every population, with intervals over seeds.

    Args:
        data: "tasks", each with "name", "unit" and "series" by attention and MLP over the regimes.
    """
    figure, axes = panels(len(data["tasks"]), 1, wide=True, height=1.55, sharex=True)
    for axis, task in zip(axes[:, 0], data["tasks"], strict=True):
        for number, line in enumerate(task["series"]):
            shift = (number - (len(task["series"]) - 1) / 2) * 0.12
            places = np.arange(len(line["mean"])) + shift
            series(axis, places.tolist(), line["mean"], line["stderr"], line["label"], number)
            axis.containers[-1].lines[0].set_linestyle("")
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set_xticks(range(len(data["regimes"])), data["regimes"])
        axis.set_title(task["name"])
        axis.set_ylabel(task["unit"])
    common_legend(figure, axes[0, 0], 3)
    return figure


@in_style
def deep_shallow(data: dict[str, Any]) -> Figure:
    """Which cells say that the last layer tolerates clipping better than the first.

    Args:
        data: "rows", "groups" of "columns" and "outcomes" (rows, columns), each "for", "against", "undecided" or "".
    """
    names = [*_OUTCOMES]
    codes = np.array([[names.index(o) if o in names else np.nan for o in row] for row in data["outcomes"]])
    figure, axes = panels(1, 1, wide=True, height=0.19 * len(data["rows"]) + 1.0)
    axis = axes[0, 0]
    colours = ListedColormap([colour for colour, _ in _OUTCOMES.values()])
    axis.pcolormesh(codes, cmap=colours, vmin=-0.5, vmax=2.5, edgecolors="white", linewidth=0.8)
    marks = {"for": "+", "against": "\N{MINUS SIGN}"}
    for i, row in enumerate(data["outcomes"]):
        for j, outcome in enumerate(row):
            axis.text(j + 0.5, i + 0.5, marks.get(outcome, ""), ha="center", va="center", color="white", size=7)
    axis.set_yticks(np.arange(len(data["rows"])) + 0.5, data["rows"])
    axis.set_xticks(np.arange(len(data["columns"])) + 0.5, data["columns"], rotation=90)
    axis.invert_yaxis()
    width = len(data["columns"]) // len(data["groups"])
    for place, group in enumerate(data["groups"]):
        axis.text((place + 0.5) * width, -0.4, group, ha="center", va="bottom", size=8)
        axis.axvline(place * width, color="black", linewidth=0.8)
    handles = [
        Patch(facecolor=colour, label=f"{name} {marks.get(name, '')}".strip())
        for name, (colour, _) in _OUTCOMES.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure


@in_style
def exact_gain(data: dict[str, Any]) -> Figure:
    """Change of the exact risk of one-layer models at the best rank below the full one, by regime, a panel a task.

    Args:
        data: "tasks", each with "name" and "series" over the "regimes".
    """
    figure, axes = panels(len(data["tasks"]), 1, wide=True, height=1.6, sharex=True)
    for axis, task in zip(axes[:, 0], data["tasks"], strict=True):
        for number, line in enumerate(task["series"]):
            places = np.arange(len(line["mean"])) + (number - (len(task["series"]) - 1) / 2) * 0.13
            series(axis, places.tolist(), line["mean"], line["stderr"], line["label"], number)
            axis.containers[-1].lines[0].set_linestyle("")
        axis.axhline(0, color="black", linewidth=0.6)
        axis.set_xticks(range(len(data["regimes"])), data["regimes"])
        axis.set_title(f"{task['name']} tasks" if task["name"] == "low rank" else f"{task['name']} inputs")
        axis.set_ylabel("change of risk, %")
    common_legend(figure, axes[0, 0], 4)
    return figure


@in_style
def findings(data: dict[str, Any]) -> Figure:
    """Shares of cells for and against every finding, with the verdicts.

    Args:
        data: "findings", each with "name", "verdict", "counts".
    """
    found = data["findings"]
    figure, axes = panels(1, 1, wide=True, height=0.21 * len(found) + 0.3)
    axis = axes[0, 0]
    for place, finding in enumerate(found):
        counts = finding["counts"]
        total, left = sum(counts.values()), 0.0
        for name, (colour, hatch) in _OUTCOMES.items():
            share = counts[name] / total
            options: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0}
            axis.barh(place, share, left=left, height=0.72, **options)
            left += share
        axis.text(1.01, place, f"{finding['verdict']} ({total} cells)", va="center", size=7)
    axis.set_yticks(range(len(found)), [finding["name"].replace("_", " ") for finding in found])
    axis.invert_yaxis()
    axis.set(xlim=(0, 1), xlabel="share of the cells")
    handles = [Patch(facecolor=c, hatch=h, edgecolor="white", label=name) for name, (c, h) in _OUTCOMES.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    return figure
