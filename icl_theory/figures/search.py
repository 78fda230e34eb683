"""What a search for a truncation that helps has found: gains by rank and layer, where chosen and on fresh prompts."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import style as style_sheets
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, SymmetricalLogLocator

from icl_theory.core import checks
from icl_theory.figures.column import PAGE
from icl_theory.figures.style import SETTINGS, Z

_LOOKS = {"validation": ("validation prompts", "#0000FF", "o", "--"), "test": ("test prompts", "#156A40", "s", "-")}


def search_gains(
    entries: Sequence[dict[str, Any]],
    *,
    figsize: tuple[float, float] | None = None,
    style: dict[str, Any] | str | None = None,
) -> Figure:
    """Gain over no truncation by rank, a panel for each layer, in per cent of the untouched model's test loss.

    Means over models and searches; error bars are 1.96 standard errors over models. The vertical axis is linear within
    one per cent and logarithmic beyond. The diamond is the rank chosen most often.

    Args:
        entries: the "searches" of a document of `icl-theory search`.
        figsize: width and height in inches; the width of a page if None.
        style: rcParams or the name of a style sheet, over the settings of this package.

    Returns: the figure; `save_figure` writes it.
    Raises: ValueError for no entries.

    Example:
        >>> from icl_theory.figures import search_gains
        >>> from icl_theory.runs import search, search_config
        >>> config = search_config.SearchConfig(model="random", dim=2, layers=2, prompts=16, searches=1, seeds=2)
        >>> len(search_gains(search.run(config)["searches"]).axes)
        2
    """
    if not entries:
        raise checks.error("entries", "none", "at least one search", "make one with `icl-theory search`")
    layers = len(entries[0]["layers"])
    sheets: list[Any] = [SETTINGS] if style is None else [SETTINGS, style]
    with style_sheets.context(sheets):
        rows = -(-layers // 4)
        figure = Figure(figsize=figsize or (PAGE, 0.6 + 2.1 * rows), layout="constrained")
        axes = figure.subplots(rows, min(layers, 4), sharex=True, sharey=True, squeeze=False).ravel()
        favourite = _most_frequent([entry["chosen"]["layer"] for entry in entries])
        for layer, axis in enumerate(axes[:layers]):
            _panel(axis, entries, layer)
            axis.set_title(f"layer {layer}" + (" (chosen most often)" if layer == favourite else ""))
            axis.set_xlabel("rank $r$ kept")
            axis.label_outer()
        for axis in axes[layers:]:
            axis.remove()
        for axis in axes[: layers : min(layers, 4)]:
            axis.set_ylabel("gain, % of the test loss")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
        return figure


def _panel(axis: Axes, entries: Sequence[dict[str, Any]], layer: int) -> None:
    ranks = entries[0]["layers"][layer]["ranks"]
    for part, (label, colour, marker, dashes) in _LOOKS.items():
        mean, error = _over_models(entries, layer, part)
        options: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dashes, "capsize": 2}
        axis.errorbar(ranks, 100 * mean, 100 * Z * error, label=label, **options)
    axis.set_yscale("symlog", linthresh=1.0)
    axis.yaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1.0))
    axis.yaxis.set_major_formatter(FuncFormatter(_percent))
    axis.axhline(0, color="black", linewidth=0.7)
    chosen = _most_frequent([entry["layers"][layer]["rank"] for entry in entries])
    axis.plot(chosen, 0, marker="D", color="black", linestyle="none", label="rank chosen most often", zorder=3)
    axis.set_xticks(ranks if len(ranks) <= 12 else ranks[:: -(-len(ranks) // 12)])


def _percent(value: float, _place: object) -> str:
    """A tick: 100 as it is, from a thousand on as a power of ten."""
    if abs(value) < 1000:
        return f"{value:+g}".replace("-", "\N{MINUS SIGN}") if value else "0"
    sign = "-" if value < 0 else "+"
    return f"${sign}10^{{{round(math.log10(abs(value)))}}}$"


def _over_models(entries: Sequence[dict[str, Any]], layer: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean over models of means over searches by rank, and the standard error over models; NaN for a single one."""
    by_model: dict[int, list[list[float]]] = {}
    for entry in entries:
        gains = [gain["value"] / entry["test_loss"]["value"] for gain in entry["layers"][layer][part]]
        by_model.setdefault(entry["seed"], []).append(gains)
    means = np.array([np.mean(found, axis=0) for found in by_model.values()])
    error = means.std(axis=0, ddof=1) / np.sqrt(len(means)) if len(means) > 1 else np.zeros(means.shape[1])
    return means.mean(axis=0), error


def _most_frequent(numbers: list[int]) -> int:
    """The most frequent number, of equally frequent ones the largest."""
    return max(set(numbers), key=lambda number: (numbers.count(number), number))
