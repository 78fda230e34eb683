"""Figures of bounds, noise and counterexamples."""

from typing import Any

from matplotlib.figure import Figure

from icl_theory.figures.column import bound_column
from icl_theory.figures.paper.parts import LOOKS, common_legend, in_style, panels, series
from icl_theory.figures.style import log_axis


@in_style
def ladder(data: dict[str, Any]) -> Figure:
    """Every rung against the rank of one matrix.

    Args:
        data: "sweep", the records of `rank_sweep`, and the "rungs" to be shown.
    """
    return bound_column(data["sweep"], layer=0, module="key", rungs=data["rungs"], figsize=(3.25, 4.6))


@in_style
def readout(data: dict[str, Any]) -> Figure:
    """What a bound on all of W makes of truncation, and what the readout makes of it, side by side.

    Args:
        data: as for `ladder`.
    """
    rungs = ("readout_sample", "readout", "gaussian")
    return bound_column(data["sweep"], panels=[(0, module) for module in ("value", "key", "query")], rungs=rungs)


@in_style
def information_and_dimension(data: dict[str, Any]) -> Figure:
    """Information about the demonstrations in W and in the readout against the input dimension.

    Args:
        data: "dims" and "series", in nats.
    """
    figure, axes = panels(1, 1, wide=False, height=2.6)
    axis = axes[0, 0]
    for number, line in enumerate(data["series"]):
        series(axis, data["dims"], line["mean"], line["stderr"], line["label"], number)
    axis.set(xlabel="input dimension $d_x$", ylabel="information, nats", xticks=data["dims"])
    log_axis(axis)
    common_legend(figure, axis, 1)
    return figure


@in_style
def truncation_trap(data: dict[str, Any]) -> Figure:
    """Exact risk of the one-layer optimum against its rank, cut in three ways.

    Args:
        data: "ranks" and "series".
    """
    figure, axes = panels(1, 1, wide=False, height=2.4)
    axis = axes[0, 0]
    for number, line in enumerate(data["series"]):
        series(axis, data["ranks"], line["mean"], None, line["label"], number)
    axis.set(xlabel="rank kept", ylabel="population risk, squared error", xticks=data["ranks"])
    common_legend(figure, axis, 1)
    return figure


@in_style
def theorem_2(data: dict[str, Any]) -> Figure:
    """Gap, printed bound and repaired bound of the scalar counterexample against the spread of the data.

    Args:
        data: "lengths" of the interval of log h², and "series".
    """
    figure, axes = panels(1, 1, wide=False, height=2.6)
    axis = axes[0, 0]
    for number, line in enumerate(data["series"]):
        series(axis, data["lengths"], line["mean"], line["stderr"], line["label"], number)
    axis.axhline(1.0, color="black", linewidth=0.7, linestyle=":", label="trivial bound")
    axis.set_xscale("log")
    axis.set(xlabel="length of the interval of $\\log h^2$", ylabel="gap and bounds, loss")
    common_legend(figure, axis, 2)
    return figure


@in_style
def noise_quantiles(data: dict[str, Any]) -> Figure:
    """Squared Mahalanobis distances of the noise against the quantiles of Gaussian samples, for several b.

    Args:
        data: "panels", each with "shots", "quantiles" and "distances".
    """
    figure, axes = panels(1, len(data["panels"]), wide=True, height=2.0)
    for axis, panel in zip(axes[0], data["panels"], strict=True):
        colour, marker, _ = LOOKS[0]
        axis.plot(panel["quantiles"], panel["distances"], marker, color=colour, markersize=2, markeredgewidth=0)
        top = max(*panel["quantiles"], *panel["distances"])
        axis.plot([0, top], [0, top], color="black", linewidth=0.8)
        axis.set(title=f"b = {panel['shots']} of {data['demonstrations']}", xlabel="quantile if Gaussian")
        axis.set_box_aspect(1)
    axes[0, 0].set_ylabel("squared distance")
    return figure
