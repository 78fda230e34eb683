"""What the figures of the paper share: sizes, looks that can be told apart in grey, series with bars."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_theory.figures.column import COLUMN, PAGE
from icl_theory.figures.style import SETTINGS, Z

LOOKS = (
    ("#0000FF", "o", "-"),
    ("#156A40", "s", "--"),
    ("#D400FF", "^", "-."),
    ("#6A6A00", "D", ":"),
    ("#6A0040", "X", (0, (5, 1, 1, 1, 1, 1))),
    ("#00BFD4", "v", (0, (3, 1, 1, 1))),
)
"""Colour, marker and dashes of the series of a panel, in their order."""


def in_style(draw: Callable[[dict[str, Any]], Figure]) -> Callable[[dict[str, Any]], Figure]:
    """Draw under the settings of this package: texts take their size from those at the time they are made."""

    @functools.wraps(draw)
    def styled(data: dict[str, Any]) -> Figure:
        with rc_context(SETTINGS):
            return draw(data)

    return styled


def panels(rows: int, columns: int, *, wide: bool, height: float = 2.3, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure of the width of a column or of a page, and its axes, shape (rows, columns).

    Args:
        rows: of panels.
        columns: of panels.
        wide: the width of a page instead of a column.
        height: inches of one row.
        options: of `Figure.subplots`.
    """
    figure = Figure(figsize=(PAGE if wide else COLUMN, 0.5 + height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def series(axis: Axes, places: Sequence[float], values: Sequence[float], errors: Any, label: str, number: int) -> None:
    """A curve with bars of 1.96 standard errors, in the look of that number.

    Args:
        axis: where.
        places: horizontal.
        values: vertical.
        errors: standard errors; None for exact values.
        label: in the legend.
        number: which look.
    """
    colour, marker, dashes = LOOKS[number % len(LOOKS)]
    bars = None if errors is None else Z * np.asarray(errors, dtype=float)
    options: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dashes, "capsize": 2, "label": label}
    axis.errorbar(places, values, bars, markersize=3.8, linewidth=1.1, elinewidth=0.8, **options)


def common_legend(figure: Figure, axis: Axes, columns: int) -> None:
    """One legend below all panels.

    Args:
        figure: of the panels.
        axis: the panel that has every label.
        columns: of the legend.
    """
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, handlelength=2.8)
