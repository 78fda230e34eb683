"""Figures for a paper's column: what is drawn, where, under whose style; and the colours, seen by other eyes."""

import itertools
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from helpers import error_message
from matplotlib.figure import Figure
from sweep_records import sweep

from icl_theory.figures import bound_column, column_figures, save_figure
from icl_theory.figures.style import FORWARD_STYLES, RUNG_STYLES, log_axis
from icl_theory.records.documents import from_plain

SEEN = {
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
"""Linear RGB as it is seen without one of the three cones (Machado, Oliveira and Fernandes 2009, severity 1)."""
XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]


def lab(linear: np.ndarray) -> np.ndarray:
    """CIE Lab of linear RGB, white point D65."""
    x = np.clip(linear, 0, 1) @ np.array(XYZ).T / [0.95047, 1.0, 1.08883]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], 1)


def test_colours_of_rungs() -> None:
    """Any two rungs differ by at least 20 units of CIE Lab for every eye, and none is so light that it is lost."""
    colours = [style[1] for style in (*RUNG_STYLES.values(), *FORWARD_STYLES.values())]
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for matrix in (np.eye(3), *map(np.array, SEEN.values())):
        places = lab(linear @ matrix.T)
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(places, 2)) >= 20
        assert places[:, 0].max() < 75
    marks = [style[2] for style in RUNG_STYLES.values()]
    assert len(set(marks)) == len(marks)


def drawn(figure: Figure) -> dict[str, list[float]]:
    """Label → heights of every line that the legend names."""
    [axis] = figure.axes
    handles, labels = axis.get_legend_handles_labels()
    lines = [getattr(handle, "lines", [handle])[0] for handle in handles]
    return {label: list(map(float, line.get_ydata())) for label, line in zip(labels, lines, strict=True)}


def test_numbers() -> None:
    """What is drawn are the means of the records, of the rungs that were named, in their order."""
    records = sweep(modules=("value", "key"))
    found = drawn(bound_column(records, module="key", rungs=("isotropic", "gaussian")))
    found = {label.removesuffix(" (+∞ left out)"): heights for label, heights in found.items()}
    assert [name for name in found if "prior" in name] == ["isotropic prior at the mean", "Gaussian prior"]
    own = [record for record in records if record["module"] == "key"]
    ranks = sorted({record["rank"] for record in own})
    for name, label in (("gaussian", "Gaussian prior"), ("isotropic", "isotropic prior at the mean")):
        means = [np.mean([from_plain(r["rungs"][name]["value"]) for r in own if r["rank"] == rank]) for rank in ranks]
        np.testing.assert_allclose(found[label], np.where(np.isfinite(means), means, np.nan))
    gaps = [np.mean([from_plain(r["gap"]["value"]) for r in own if r["rank"] == rank]) for rank in ranks]
    np.testing.assert_allclose(found["measured gap"], gaps)


def test_gaps_below_zero() -> None:
    """Marked by arrows that the legend explains; and no arrow where there is none."""
    assert "gap ≤ 0, below the axis" in drawn(bound_column(sweep(gap=-0.01)))
    assert "gap ≤ 0, below the axis" not in drawn(bound_column(sweep()))


@pytest.mark.parametrize("over", ["shots", "demonstrations"])
def test_other_axes(over: str) -> None:
    """Against b or N, of records that differ in it."""
    records = [
        record | {over: number, "rank": 3}
        for number in (5, 10, 20)
        for record in sweep()
        if record["rank"] == sweep()[0]["rank"]
    ]
    figure = bound_column(records, over=over)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["5", "10", "20"]
    assert over.split("s")[0] in figure.axes[0].get_xlabel()


@pytest.mark.parametrize("size", [(3.25, 3.2), (6.75, 3.0)])
def test_nothing_is_cut(size: tuple[float, float]) -> None:
    """Every text and the legend lie within the figure, at the width of a column and of a page."""
    figure = bound_column(sweep(gap=-0.01), figsize=size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.draw_without_rendering()
    assert tuple(figure.get_size_inches()) == size
    boxes = [figure.axes[0].get_tightbbox(), figure.legends[0].get_window_extent()]
    for box in filter(None, boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height


def test_own_axes_and_style() -> None:
    """Axes of the reader's are drawn into, under his own settings; a style comes on top of ours; globals stay."""
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"axes.labelsize": 21.0}):
        figure = Figure()
        axis = figure.add_subplot()
        assert bound_column(sweep(), ax=axis) is figure
        assert axis.xaxis.label.get_fontsize() == 21.0
        assert axis.get_legend() is not None
    styled = bound_column(sweep(), style={"axes.labelsize": 17.0}).axes[0]
    assert styled.xaxis.label.get_fontsize() == 17.0
    assert bound_column(sweep(), style="ggplot").axes[0].get_facecolor() != (1.0, 1.0, 1.0, 1.0)
    assert dict(matplotlib.rcParams) == before


def test_refused() -> None:
    """Several places and none named, or what the sweep has not."""
    records = sweep(modules=("value", "key"), layers=2)
    assert "layer: got none, and records of [0, 1]" in error_message(bound_column, records, module="key")
    assert "module: got none" in error_message(bound_column, records, layer=0)
    assert "module: got 'mlp'" in error_message(bound_column, records, layer=0, module="mlp")
    assert "rungs: got 'readot'" in error_message(bound_column, sweep(), rungs=("readot",))
    assert "over: got 'seeds'" in error_message(bound_column, sweep(), over="seeds")


@pytest.mark.parametrize("ending", ["pdf", "svg", "png", "eps", "pgf"])
def test_formats(tmp_path: Path, ending: str) -> None:
    """Any format of matplotlib; equal bytes where it has no date of its own."""
    if ending == "pgf":
        pytest.importorskip("matplotlib.backends.backend_pgf")
    figure = bound_column(sweep())
    try:
        first, second = (save_figure(figure, tmp_path / f"{name}.{ending}").read_bytes() for name in ("a", "b"))
    except RuntimeError as error:  # pgf asks a TeX installation for the widths of its letters
        assert ending == "pgf"
        pytest.skip(str(error)[:60])
    assert len(first) > 1000
    if ending in ("pdf", "svg", "png"):
        assert first == second
    assert "ending of the figure: got 'docx'" in error_message(save_figure, figure, tmp_path / "a.docx")


def test_column_files(tmp_path: Path) -> None:
    """One file for every module of every layer."""
    files = column_figures(sweep(modules=("value", "key"), layers=2), tmp_path)
    assert [file.name for file in files] == [f"column_{m}_{t}.pdf" for m in ("value", "key") for t in (0, 1)]
    assert all(file.read_bytes().startswith(b"%PDF") for file in files)


@pytest.mark.parametrize(("low", "high", "plain"), [(1.0, 3.0, True), (0.9, 80.0, True), (0.01, 10.0, False)])
def test_ticks(low: float, high: float, plain: bool) -> None:
    """On less than two decades the axis has at least two labels, in plain numbers."""
    figure = Figure()
    axis = figure.add_subplot()
    axis.plot([1, 2], [low, high])
    axis.set_yscale("log")
    axis.set_ylim(low, high)
    log_axis(axis)
    figure.draw_without_rendering()
    ticks = zip(axis.get_yticks(), axis.get_yticklabels(), strict=True)
    shown = [label.get_text() for place, label in ticks if low <= place <= high and label.get_text()]
    assert len(shown) >= 2
    assert all(text.replace(".", "").isdigit() for text in shown) == plain


def test_panels() -> None:
    """Several modules side by side: the numbers of each alone, common heights, one legend, every gap in sight."""
    records = [*sweep(gap=0.005), *(record | {"module": "key"} for record in sweep())]
    figure = bound_column(records, panels=[(0, "value"), (0, "key")], rungs=("mutual_information", "gaussian"))
    assert figure.get_size_inches().tolist() == [6.75, 3.2]
    assert [axis.get_title() for axis in figure.axes] == ["value, layer 0", "key, layer 0"]
    assert len({axis.get_ylim() for axis in figure.axes}) == 1
    for axis, module in zip(figure.axes, ("value", "key"), strict=True):
        alone = bound_column(records, layer=0, module=module, rungs=("mutual_information", "gaussian")).axes[0]
        for one, other in zip(axis.get_lines(), alone.get_lines(), strict=True):
            heights = [np.asarray(line.get_ydata(), dtype=np.float64) for line in (one, other)]
            assert np.array_equal(*heights, equal_nan=True)
        assert axis.get_ylim()[0] <= alone.get_ylim()[0]
    assert len(figure.legends) == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == len(set(labels))
    for more in ({"layer": 0}, {"module": "key"}):
        assert "panels" in error_message(lambda more=more: bound_column(records, panels=[(0, "key")], **more))
    assert "panels: got none" in error_message(lambda: bound_column(records, panels=[]))
