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
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from icl_theory.core import checks
from icl_theory.records.files import write_bytes
from icl_theory.records.sweep_means import Series

# Colours that are at least 20 units of CIE Lab apart, for normal sight and for protan, deutan and tritan eyes; markers
# and dashes carry the same distinction in grey. `tests/figures/test_column.py` measures it.
RUNG_STYLES: dict[str, tuple[str, str, str, Any]] = {
    "readout_sample": ("readout, single demonstrations", "#000095", "d", (0, (1, 1))),
    "readout": ("readout of the loss", "#D400FF", "X", "-"),
    "individual_sample": ("individual-sample bound", "#00BFD4", "P", (0, (3, 1, 1, 1))),
    "mutual_information": ("mutual information, upper to lower end", "#0000FF", "o", "-"),
    "path_information": ("path information", "#9540AA", "p", (0, (5, 1))),
    "path_gaussian": ("Gaussian prior on the path", "#95AA95", "h", (0, (2, 1))),
    "chain": ("chain of Lemma 3, Gaussian prior", "#002A00", "*", (0, (6, 1, 1, 1))),
    "gaussian": ("Gaussian prior", "#156A40", "s", "-"),
    "isotropic": ("isotropic prior at the mean", "#BFAA2A", "^", "--"),
    "isotropic_zero": ("isotropic prior at 0", "#6A6A00", "v", "-."),
    "theorem_2_repaired": ("Theorem 2, repaired", "#D480FF", "D", (0, (4, 1, 1, 1, 1, 1))),
    "theorem_2_printed": ("Theorem 2 as printed", "#6A0040", "x", ":"),
}
FORWARD_STYLES: dict[str, tuple[str, str, str, Any]] = {
    "wishart_readout": ("forward pass: Wishart, readout", "#AA4080", "<", (0, (3, 1))),
    "wishart": ("forward pass: Wishart", "#400055", ">", (0, (3, 1))),
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


def log_axis(axis: Axes) -> None:
    """A logarithmic vertical axis whose ticks can be read on less than two decades too."""
    axis.set_yscale("log")
    low, high = axis.get_ylim()
    if high < 100 * low:
        axis.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure in the format that its ending names, any that matplotlib has, in one step.

    Equal figures give equal bytes where the format allows it: no date, no name of the software.

    Args:
        figure: as a function of this package returns it.
        path: the file, with an ending such as .pdf, .svg, .pgf or .png (400 dots per inch).

    Raises: ValueError for an ending that matplotlib does not know, OSError.

    Example:
        >>> import tempfile
        >>> from matplotlib.figure import Figure
        >>> from icl_theory.figures import save_figure
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_figure(Figure(figsize=(3.25, 2)), f"{folder}/empty.svg").name
        'empty.svg'
    """
    path, known = Path(path), FigureCanvasAgg.get_supported_filetypes()
    checks.choice("ending of the figure", path.suffix[1:].lower(), tuple(sorted(known)))
    metadata: dict[str, Any] = {"pdf": dict.fromkeys(("Creator", "Producer", "CreationDate"))}
    metadata |= {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
    buffer, kind = io.BytesIO(), path.suffix[1:].lower()
    options = {"metadata": metadata[kind]} if kind in metadata else {}
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.hashsalt": "icl_theory"}):
        figure.savefig(buffer, format=kind, dpi=400, **options)
    return write_bytes(path, buffer.getvalue())


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
