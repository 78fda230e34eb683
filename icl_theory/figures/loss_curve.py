"""The loss curve of a training run: reads losses, averages them over seeds and blocks of steps, draws."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from icl_theory.core import checks
from icl_theory.figures.style import save

BLOCKS = 200
"""Points of a curve at most; each is the mean of a block of steps."""


def loss_curve(
    losses: np.ndarray,
    path_stem: str | Path,
    *,
    optimum: float | None,
    layers: int,
    formats: Sequence[str] = ("pdf", "png"),
) -> list[Path]:
    """Loss against steps: every seed thin, their mean thick, the exact one-layer optimum as a line; logarithmic.

    Args:
        losses: (seeds, steps), squared label units; steps at which a loss is not finite are left out.
        path_stem: where to write, without the ending; each file is replaced in one step.
        optimum: exact risk of the best one-layer model, for deeper models a reference and not their optimum; None
            draws no line.
        layers: L, for the legend.
        formats: "pdf", "png".

    Returns: the files written.
    Raises: ValueError for losses of another shape or an unknown format.
    """
    losses = np.asarray(losses)
    if losses.ndim != 2 or not losses.size:
        raise checks.error("losses", f"shape {losses.shape}", "shape (seeds, steps)", "pass TrainResult.losses")
    return save(lambda: _curves(losses, optimum, layers), path_stem, formats)


def _curves(losses: np.ndarray, optimum: float | None, layers: int) -> Figure:
    steps, curves = _blocks(losses)
    figure = Figure(figsize=(5.0, 3.2), layout="constrained")
    axis = figure.add_subplot()
    for i, curve in enumerate(curves):
        label = f"each of {len(curves)} seeds" if i == 0 else None
        axis.plot(steps, curve, color="#56B4E9", linewidth=0.6, alpha=0.6, label=label)
    axis.plot(steps, curves.mean(0), color="#0072B2", label="mean over seeds")
    if optimum is not None:
        label = "exact optimum" if layers == 1 else f"one-layer optimum (reference; {layers} layers here)"
        axis.axhline(optimum, color="black", linestyle="--", linewidth=1, label=label)
    axis.set_yscale("log")
    axis.set(xlabel="step", ylabel="loss (squared label units)")
    axis.legend(frameon=False)
    return figure


def _blocks(losses: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Last step of every block, and the means over blocks, (seeds, blocks); nan where a loss is not finite."""
    length = math.ceil(losses.shape[1] / BLOCKS)
    edges = np.arange(0, losses.shape[1], length)
    size = np.diff(edges, append=losses.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):  # a diverged seed; it is not drawn
        means = np.add.reduceat(losses.astype(np.float64), edges, axis=1) / size
    return edges + size, np.where(np.isfinite(means), means, np.nan)
