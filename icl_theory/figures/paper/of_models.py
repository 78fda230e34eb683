"""Figures of trained models against references: least squares, gradient descent, the rank of the task."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from icl_theory.figures.paper.parts import common_legend, in_style, panels, series
from icl_theory.figures.style import log_axis
from icl_theory.records.documents import from_plain

TOP = 2.0
"""Largest risk that is drawn, in risks of predicting 0."""


@in_style
def least_squares(data: dict[str, Any]) -> Figure:
    """Risk of trained models and of references against the number of demonstrations, and along training.

    Args:
        data: "shots" with series over "places", "steps" likewise; an infinite risk is left out.
    """
    figure, axes = panels(1, 2, wide=True, height=2.4)
    for axis, name, label in zip(axes[0], ("shots", "steps"), ("demonstrations $N$", "training steps"), strict=True):
        _curves(axis, data[name]["places"], data[name]["series"], TOP * data["zero_risk"])
        axis.set(xlabel=label, ylabel="risk, squared error")
        if name == "steps":
            _steps(axis, data[name]["places"])
        log_axis(axis)
    axes[0, 0].axvline(data["dim"], color="black", linewidth=0.7, linestyle=":")
    axes[0, 0].text(data["dim"], 0.98, " $N = d_x$", transform=axes[0, 0].get_xaxis_transform(), va="top", size=7)
    handles = _labels(axes[0, 0]) | _labels(axes[0, 1])
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False, handlelength=2.8
    )
    return figure


@in_style
def agreement(data: dict[str, Any]) -> Figure:
    """How near trained models are to gradient descent and GD++ along training.

    Args:
        data: "steps", and "difference" and "cosine" with a series for each scheme.
    """
    figure, axes = panels(1, 2, wide=True, height=2.3)
    labels = ("difference of predictions", "cosine of the sensitivities")
    for axis, name, label in zip(axes[0], ("difference", "cosine"), labels, strict=True):
        _curves(axis, data["steps"], data[name])
        _steps(axis, data["steps"])
        axis.set(xlabel="training steps", ylabel=label)
    log_axis(axes[0, 0])
    common_legend(figure, axes[0, 0], 3)
    return figure


@in_style
def task_rank(data: dict[str, Any]) -> Figure:
    """Singular values of the product of W_K and W_Q, and the risk after its truncation, for tasks of low rank.

    Args:
        data: "rank", and for each depth in "models" its "spectrum" and "rise", means with standard errors.
    """
    figure, axes = panels(1, 2, wide=True, height=2.3)
    for number, model in enumerate(data["models"]):
        places = np.arange(1, len(model["spectrum"]["mean"]) + 1).tolist()
        series(axes[0, 0], places, model["spectrum"]["mean"], model["spectrum"]["stderr"], model["name"], number)
        series(axes[0, 1], places, model["rise"]["mean"], model["rise"]["stderr"], model["name"], number)
    axes[0, 0].set(xlabel="place", ylabel="singular value / the largest")
    axes[0, 1].set(xlabel="rank kept", ylabel="rise of the risk, %")
    axes[0, 1].set_yscale("symlog", linthresh=1.0)
    axes[0, 0].set_yscale("log")
    for axis in axes[0]:
        axis.axvline(data["rank"] + 0.5, color="black", linewidth=0.7, linestyle=":")
    axes[0, 1].axhline(1.0, color="black", linewidth=0.6, linestyle="--")
    common_legend(figure, axes[0, 0], 2)
    return figure


def _curves(axis: Any, places: list[float], lines: list[dict[str, Any]], top: float = np.inf) -> None:
    """Every series, without the places where it is infinite, or above `top`."""
    for number, line in enumerate(lines):
        mean = [from_plain(value) for value in line["mean"]]
        seen = [i for i, value in enumerate(mean) if np.isfinite(value) and value <= top]
        errors = None if line["stderr"] is None else [from_plain(line["stderr"][i]) for i in seen]
        look = line.get("look", number)
        series(axis, [places[i] for i in seen], [mean[i] for i in seen], errors, line["label"], look)


def _steps(axis: Any, places: list[float]) -> None:
    """A logarithmic axis of steps, 0 among them, with a tick where a model was trained."""
    axis.set_xscale("symlog", linthresh=25)
    axis.set_xticks(places, [f"{place:g}" for place in places])
    axis.minorticks_off()


def _labels(axis: Any) -> dict[str, Any]:
    handles, labels = axis.get_legend_handles_labels()
    return dict(zip(labels, handles, strict=True))
