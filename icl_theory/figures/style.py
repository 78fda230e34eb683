"""What all figures share: styles of the rungs, error bars, and files that are equal for equal records."""

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

from icl_theory.core import checks
from icl_theory.records.files import write_bytes
from icl_theory.records.sweep_means import Series

# Okabe and Ito's colours, distinguishable for colour-blind readers; markers and dashes carry the same distinction in
# grey.
RUNG_STYLES: dict[str, tuple[str, str, str, Any]] = {
    "readout_sample": ("readout, single demonstrations", "#332288", "d", (0, (1, 1))),
    "readout": ("readout of the loss", "#882255", "X", "-"),
    "individual_sample": ("individual-sample bound", "#56B4E9", "P", (0, (3, 1, 1, 1))),
    "mutual_information": ("mutual information, upper to lower end", "#0072B2", "o", "-"),
    "path_information": ("path information", "#0072B2", "p", (0, (5, 1))),
    "path_gaussian": ("Gaussian prior on the path", "#44AA99", "h", (0, (2, 1))),
    "chain": ("chain of Lemma 3, Gaussian prior", "#117733", "*", (0, (6, 1, 1, 1))),
    "gaussian": ("Gaussian prior", "#009E73", "s", "-"),
    "isotropic": ("isotropic prior at the mean", "#E69F00", "^", "--"),
    "isotropic_zero": ("isotropic prior at 0", "#D55E00", "v", "-."),
    "theorem_2_repaired": ("Theorem 2, repaired", "#CC79A7", "D", (0, (4, 1, 1, 1, 1, 1))),
    "theorem_2_printed": ("Theorem 2 as printed", "#666666", "x", ":"),
}
FORWARD_STYLES: dict[str, tuple[str, str, str, Any]] = {
    "wishart_readout": ("forward pass: Wishart, readout", "#B8860B", "<", (0, (3, 1))),
    "wishart": ("forward pass: Wishart", "#8B4513", ">", (0, (3, 1))),
}
"""Bounds on the gap of the forward pass of b demonstrations, without the noise of the others."""
RISK_STYLES: dict[str, tuple[str, str, str, Any]] = {
    "population_risk": ("risk over tasks", "#222222", "o", "-"),
    "population_loss": ("loss of the fixed task", "#888888", "s", "--"),
}
Z = 1.96
"""Error bars show this many standard errors."""
SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.linewidth": 0.7,
    **{f"axes.spines.{side}": False for side in ("top", "right")},
    **{f"{part}.labelsize": 7.5 for part in ("xtick", "ytick")},
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
    "pdf.fonttype": 42,
    "savefig.facecolor": "white",
}


def save(draw: Callable[[], Figure], path_stem: str | Path, formats: Sequence[str]) -> list[Path]:
    """Draw under this package's settings, leaving the global ones alone, and write each format in one step.

    Raises: ValueError for an unknown format, before anything is drawn.
    """
    for name in formats:
        checks.choice("formats", name, ("pdf", "png"))
    stem = Path(path_stem)
    with matplotlib.rc_context(SETTINGS):
        figure = draw()
        return [write_bytes(stem.with_name(f"{stem.name}.{name}"), rendered(figure, name)) for name in formats]


def rendered(figure: Figure, name: str) -> bytes:
    """The figure in one format, without a date or the name of the software."""
    buffer = io.BytesIO()
    if name == "pdf":
        FigureCanvasPdf(figure).print_pdf(buffer, metadata=dict.fromkeys(("Creator", "Producer", "CreationDate")))
    else:
        figure.set_dpi(200)
        FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def style(name: str) -> tuple[str, str, str, Any]:
    return RUNG_STYLES.get(name, (name.replace("_", " "), "#000000", ".", "-"))


def curve(axis: Axes, series: Series, label: str, colour: str, marker: str, dashes: Any, **more: Any) -> None:
    """A line through the finite means with their error bars."""
    ranks, mean, error = series
    mean = np.where(np.isfinite(mean), mean, np.nan)
    axis.errorbar(ranks, mean, Z * error, label=label, color=colour, marker=marker, linestyle=dashes, capsize=2, **more)
