"""The page's plot of bounds against rank: marks stand where the means say, and every curve has its words."""

import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from sweep_records import sweep

from icl_theory.records.sweep_means import distinct_rungs, estimate_at, over_ranks
from icl_theory.report.page.axes import Axis
from icl_theory.report.page.sweep import sweep_view
from icl_theory.report.page.sweep_plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, bound_plots
from icl_theory.report.page.templates import filled


def groups(svg: Any) -> dict[str, list[tuple[float, float]]]:
    """Points by the class of their curve."""
    found = {}
    for group in ElementTree.fromstring(str(svg)).iter("g"):
        marks = [m for m in group.iter("path") if m.get("class") == "point"]
        places = [re.findall(r"[\d.]+", str(mark.get("transform"))) for mark in marks]
        found[str(group.get("class"))] = [(float(x), float(y)) for x, y in places]
    return found


def test_marks() -> None:
    """Heights by the logarithm, columns by rank; what is infinite is left out; one plot per module and layer."""
    records = sweep(modules=("value", "key"), layers=2, tasks=3)
    plots = bound_plots(records)
    assert [plot["title"] for plot in plots] == ["value, layer 0", "value, layer 1", "key, layer 0", "key, layer 1"]
    own = [r for r in records if (r["module"], r["layer"]) == ("value", 0)]
    drawn, names = groups(plots[0]["svg"]), distinct_rungs(own)
    series = {"gap": over_ranks(own, estimate_at("gap"))}
    series |= {f"curve c{i}": over_ranks(own, estimate_at("rungs", name)) for i, name in enumerate(names)}
    last = len(names)
    for i, name in enumerate(("wishart_readout", "wishart")):
        series[f"curve c{last + i}"] = over_ranks(own, estimate_at("forward_pass", "rungs", name))
    finite = [value for _, mean, _ in series.values() for value in mean if math.isfinite(value)]
    axis = Axis("log", 0.7 * min(finite), 1.3 * max(4.0, *finite))
    for name, (ranks, mean, _) in series.items():
        known = [(r, m) for r, m in zip(ranks, mean, strict=True) if math.isfinite(m)]
        assert len(drawn.get(name, [])) == len(known)
        for (x, y), (rank, value) in zip(drawn.get(name, []), known, strict=True):
            assert x == pytest.approx(LEFT + (WIDTH - LEFT - RIGHT) * (rank - 0.5) / 6, abs=0.06)
            assert y == pytest.approx(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * axis.place(value), abs=0.06)
    words = [text for _, text in plots[0]["key"]]
    assert words[0] == "measured gap"
    assert words[-2:] == ["forward pass: wishart readout", "forward pass: wishart"]
    assert "theorem 2 printed" not in words  # infinite at every rank
    assert len(set(re.findall(r'd="([^"]*)" transform="[^"]*" class="point"', str(plots[0]["svg"])))) == len(words)


def test_no_positive_gap() -> None:
    """A gap that is not positive has no place on a logarithmic axis; the bounds stay."""
    [plot] = bound_plots(sweep(gap=-0.01))
    assert groups(plot["svg"])["gap"] == []
    assert len(groups(plot["svg"])["curve c1"]) == 5


def test_view() -> None:
    """The deviation over tasks, and the columns of the forward pass, in the table beside the plot."""
    view: Any = sweep_view(sweep(seeds=2, tasks=3))
    assert view["averaged"] == "2 seeds and 3 tasks"
    assert view["forward"] == ["forward pass: gap", "forward pass: wishart readout", "forward pass: wishart"]
    cells = view["others"][0]["cells"]
    assert view["rows"][0]["cells"][3] == "0.100"  # gaps .05, .10, .15
    assert cells[2] == "0.050"
    assert cells[-3:] == ["0.0400", "0.200", "0.400"]
    text = filled("sweep.html", sweep=view)
    assert "noise of the trajectory" in text
    assert text.count("<li>") == len(view["plots"][0]["key"])
    plain: Any = sweep_view(sweep())
    assert plain["forward"] == []
    assert plain["others"][0]["cells"][2] == "–"
    assert "noise of the trajectory" not in filled("sweep.html", sweep=plain)


def test_ticks_within_a_decade() -> None:
    """Less than two decades have ticks at 1, 2 and 5, so that at least two can be read."""
    assert [words for _, words in Axis("log", 0.15, 1.2).ticks()] == ["0.2", "0.5", "1"]
    assert [words for _, words in Axis("log", 0.015, 60.0).ticks()] == ["10⁻¹", "10⁰", "10¹"]
    assert [words for _, words in Axis("log", 900.0, 2500.0).ticks()] == ["1000", "2000"]
