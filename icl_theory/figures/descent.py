"""Pictures of descent: implied weights on the contour of the loss, and the loss along the layers over many prompts."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import style as style_sheets
from matplotlib.animation import FuncAnimation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from icl_theory.core import checks
from icl_theory.figures.column import COLUMN
from icl_theory.figures.style import SETTINGS
from icl_theory.records.files import write_bytes

LOOKS: dict[str, tuple[str, str, Any]] = {
    "model": ("#0000FF", "o", "-"),
    "gradient descent": ("#156A40", "s", "--"),
    "GD++": ("#D400FF", "^", ":"),
}
"""Colour, marker and dashes of the roads by name; others follow in the order of the colours below."""
_MORE = ("#BFAA2A", "#6A0040", "#00BFD4", "#222222")
Paths = Mapping[str, Any]


def descent_contour(
    weights: Paths,
    x: Any,
    y: Any,
    *,
    ax: Axes | None = None,
    figsize: tuple[float, float] = (COLUMN, 3.0),
    style: dict[str, Any] | str | None = None,
) -> Figure:
    """Weights after every layer or step on the contours of (1/2N) Σ (w·x_i - y_i)², for one prompt.

    In two dimensions the plane is that of w. In more it is the plane through the least-squares weight along the two
    directions in which the roads extend most; the points are projected onto it and the contours are those on it.

    Args:
        weights: by name, arrays (steps + 1, d_x), d_x ≥ 2, for instance one prompt of `DescentPaths.weights`.
        x: inputs, shape (N, d_x).
        y: labels, shape (N,).
        ax: where to draw; a figure of its own if None.
        figsize: width and height in inches.
        style: rcParams or the name of a style sheet, over the settings of this package.

    Returns: the figure; `save_figure` writes it.
    Raises: ValueError for shapes that do not match, or one dimension.

    Example:
        >>> from icl_theory import LinearRegression, descent_paths, gradient_descent_weights
        >>> from icl_theory.figures import descent_contour
        >>> model, prompt = gradient_descent_weights(2, layers=3, step_size=0.4), LinearRegression(2).sample(0, 1, 8)
        >>> paths = descent_paths(model, prompt, step_size=0.4)
        >>> one = {name: path[0] for name, path in paths.weights.items()}
        >>> descent_contour(one, paths.x[0], paths.y[0]).get_size_inches().tolist()
        [3.25, 3.0]
    """
    roads, x, y = _checked(weights, x, y)
    if ax is not None:
        _draw(ax, roads, x, y, None)
        ax.legend()
        return ax.get_figure()  # pyright: ignore[reportReturnType]
    with style_sheets.context(_sheets(style)):
        figure = Figure(figsize=figsize, layout="constrained")
        axis = figure.add_subplot()
        _draw(axis, roads, x, y, None)
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        return figure


def loss_band(
    losses: Paths,
    *,
    ax: Axes | None = None,
    figsize: tuple[float, float] = (COLUMN, 2.6),
    style: dict[str, Any] | str | None = None,
    share: float = 0.8,
) -> Figure:
    """The loss after every layer: the median over prompts and the band in which the middle prompts lie.

    A single prompt misleads: the loss of a trained model can rise at a layer of one prompt while the median falls.

    Args:
        losses: by name, arrays (prompts, steps + 1), for instance `DescentPaths.losses()`.
        ax: where to draw; a figure of its own if None.
        figsize: width and height in inches.
        style: rcParams or the name of a style sheet, over the settings of this package.
        share: of the prompts inside the band, between 0 and 1.

    Returns: the figure; `save_figure` writes it.
    Raises: ValueError for no losses, other shapes, or a share out of range.

    Example:
        >>> import numpy as np
        >>> from icl_theory.figures import loss_band
        >>> loss_band({"model": np.exp(-np.arange(12.0)).reshape(3, 4)}).get_size_inches().tolist()
        [3.25, 2.6]
    """
    hint = "a number between 0 and 1: 0.8 leaves out a tenth on either side"
    share = checks.number("share", share, low=0.0, strict=True, hint=hint)
    if share >= 1:
        raise checks.error("share", f"{share:g}", "a number below 1", hint)
    if not losses:
        raise checks.error("losses", "none", "at least one road", "pass DescentPaths.losses()")
    found = {name: checks.array(f"losses of {name}", loss, (None, None)) for name, loss in losses.items()}
    if ax is not None:
        _draw_band(ax, found, share)
        ax.legend()
        return ax.get_figure()  # pyright: ignore[reportReturnType]
    with style_sheets.context(_sheets(style)):
        figure = Figure(figsize=figsize, layout="constrained")
        axis = figure.add_subplot()
        _draw_band(axis, found, share)
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
        return figure


def descent_animation(
    weights: Paths,
    x: Any,
    y: Any,
    path: str | Path,
    *,
    seconds: float = 0.8,
    figsize: tuple[float, float] = (COLUMN, 3.2),
    style: dict[str, Any] | str | None = None,
) -> Path:
    """The contour with one layer or step after the other, as a GIF.

    Args:
        weights: as in `descent_contour`.
        x: inputs, shape (N, d_x).
        y: labels, shape (N,).
        path: the file, with the ending .gif.
        seconds: that a layer stays.
        figsize: width and height in inches.
        style: rcParams or the name of a style sheet, over the settings of this package.

    Returns: the file.
    Raises: ValueError for shapes that do not match, or another ending; OSError.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from icl_theory.figures import descent_animation
        >>> road = {"model": np.array([[0.0, 0.0], [0.5, 0.2]])}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     descent_animation(road, np.eye(2), [1.0, 1.0], f"{folder}/road.gif").name
        'road.gif'
    """
    roads, x, y = _checked(weights, x, y)
    path = Path(path)
    checks.choice("ending of the animation", path.suffix.lower(), (".gif",))
    seconds = checks.number("seconds", seconds, low=0.0, strict=True, hint="pass a length of time")
    steps = max(map(len, roads.values()))
    with style_sheets.context(_sheets(style)):
        figure = Figure(figsize=figsize, layout="constrained")
        axis = figure.add_subplot()
        _draw(axis, roads, x, y, None)  # for the names, which stand outside, where they cover nothing
        figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)

        def frame(shown: int) -> list[Any]:
            axis.clear()
            _draw(axis, roads, x, y, shown)
            axis.set_title(f"after {shown} layer{'s' * (shown != 1)}")
            return []

        moving = FuncAnimation(figure, frame, frames=steps, interval=1000 * seconds)
        with tempfile.TemporaryDirectory() as folder:  # the writer takes names of files only
            moving.save(f"{folder}/made.gif", writer=PillowWriter(fps=1 / seconds), dpi=120)  # pyright: ignore[reportArgumentType]
            return write_bytes(path, Path(folder, "made.gif").read_bytes())


def _sheets(style: dict[str, Any] | str | None) -> Any:
    return [SETTINGS] if style is None else [SETTINGS, style]


def _checked(weights: Paths, x: Any, y: Any) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    x = checks.array("x", x, (None, None), "one prompt: one input per row")
    y = checks.array("y", y, (len(x),), "one label per input")
    if x.shape[1] < 2:
        raise checks.error("x", "inputs of one number", "at least two", "plot the loss against w instead")
    if not weights:
        raise checks.error("weights", "none", "at least one road", "pass one prompt of DescentPaths.weights")
    return {name: checks.array(f"weights of {name}", w, (None, x.shape[1])) for name, w in weights.items()}, x, y


def _plane(roads: dict[str, np.ndarray], best: np.ndarray) -> np.ndarray:
    """Two orthonormal rows: the axes in two dimensions, else those along which the roads extend most around `best`."""
    if len(best) == 2:
        return np.eye(2)
    rows = np.concatenate([road - best for road in roads.values()])
    return np.linalg.svd(rows, full_matrices=True)[2][:2]


def _draw(axis: Axes, roads: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray, shown: int | None) -> None:
    best = np.linalg.lstsq(x, y, rcond=None)[0]
    plane = _plane(roads, best)
    origin = np.zeros(2) if len(best) == 2 else plane @ best
    points = {name: road @ plane.T for name, road in roads.items()}
    every = np.concatenate([*points.values(), (plane @ best)[None]])
    low, high = every.min(axis=0), every.max(axis=0)
    margin = 0.25 * max(high - low) + 1e-12
    grids = np.meshgrid(*(np.linspace(a - margin, b + margin, 121) for a, b in zip(low, high, strict=True)))
    flat = np.stack([grid.ravel() for grid in grids], axis=1)
    weights = flat if len(best) == 2 else best + (flat - origin) @ plane
    loss = (((weights @ x.T - y) ** 2).mean(axis=1) / 2).reshape(grids[0].shape)
    floor = max(loss.min(), 1e-9 * loss.max())
    levels = np.geomspace(floor * 1.05 + 1e-300, loss.max(), 12)
    axis.contour(*grids, loss, levels=levels, colors="#BBBBBB", linewidths=0.6)
    for number, (name, points_of) in enumerate(points.items()):
        colour, marker, dashes = LOOKS.get(name, (_MORE[number % len(_MORE)], "d", "-."))
        visible = points_of if shown is None else points_of[: shown + 1]
        axis.plot(*visible.T, color=colour, marker=marker, linestyle=dashes, label=name, markerfacecolor="none")
    axis.plot(*(plane @ best), color="black", marker="+", markersize=9, linestyle="none", label="least squares")
    axis.set_aspect("equal")
    names = ("$w_1$", "$w_2$") if len(best) == 2 else ("main direction of $w$", "second direction of $w$")
    axis.set(xlabel=names[0], ylabel=names[1])


def _draw_band(axis: Axes, losses: dict[str, np.ndarray], share: float) -> None:
    for number, (name, loss) in enumerate(losses.items()):
        colour, marker, dashes = LOOKS.get(name, (_MORE[number % len(_MORE)], "d", "-."))
        layers = np.arange(loss.shape[1])
        low, middle, high = np.quantile(loss, [(1 - share) / 2, 0.5, (1 + share) / 2], axis=0)
        axis.fill_between(layers, low, high, color=colour, alpha=0.12, linewidth=0)
        axis.plot(layers, middle, color=colour, marker=marker, linestyle=dashes, label=name, markerfacecolor="none")
    positive = min(np.quantile(loss, (1 - share) / 2, axis=0).min() for loss in losses.values()) > 0
    axis.set_yscale("log" if positive else "linear")
    axis.set_xticks(range(max(loss.shape[1] for loss in losses.values())))
    axis.set(xlabel="layers or steps", ylabel=f"loss: median, {share:.0%} of prompts")
