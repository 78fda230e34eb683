"""Bound against rank as inline SVG: gap and bounds of one module of one layer over the rank that is kept."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from icl_theory.records.documents import from_plain
from icl_theory.records.sweep_means import (
    Pick,
    distinct_rungs,
    estimate_at,
    forward_pass_bounds_of,
    over_ranks,
)
from icl_theory.report.page.axes import Axis, spelled
from icl_theory.report.page.elements import Markup, tag

WIDTH, HEIGHT = 380, 240
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 34
_MARKS = (
    "M-2.6,0a2.6,2.6 0 1,0 5.2,0a2.6,2.6 0 1,0 -5.2,0z",
    "M-2.4,-2.4H2.4V2.4H-2.4z",
    "M0,-3.2L3.2,2.4H-3.2z",
    "M0,-3.4L3.4,0L0,3.4L-3.4,0z",
    "M-2.8,-2.8L2.8,2.8M-2.8,2.8L2.8,-2.8",
    "M-3,0H3M0,-3V3",
    "M0,3.2L3.2,-2.4H-3.2z",
    "M-3.2,-2.4L2.4,0L-3.2,2.4z",
    "M3.2,-2.4L-2.4,0L3.2,2.4z",
)
"""Outlines by the place of a curve, so that curves are told apart without colour."""
_GAP = "M0,-4.4L1.2,-1.4L4.2,-1.4L1.8,0.6L2.7,3.6L0,1.8L-2.7,3.6L-1.8,0.6L-4.2,-1.4L-1.2,-1.4z"
_Z = 1.96


class _Curve(NamedTuple):
    """A line of the plot."""

    words: str
    name: str
    """Class of its marks and its line."""
    mark: str
    points: list[tuple[int, float, float]]
    """Rank, mean, standard error; finite and positive ones alone."""


def bound_plots(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For every (module, layer): its name, the SVG, and the key as (mark, words)."""
    places = dict.fromkeys((record["module"], record["layer"]) for record in records)
    return [_plot(records, *place) for place in places]


def _plot(records: Sequence[dict[str, Any]], module: str, layer: int) -> dict[str, Any]:
    own = [r for r in records if (r["module"], r["layer"]) == (module, layer)]
    curves, trivial = _curves(own), from_plain(own[0]["trivial"])
    values = [v for curve in curves for _, mean, _ in curve.points for v in (mean,)]
    axis = Axis("log", 0.7 * min([trivial, *values]), 1.3 * max([trivial, *values]))
    ranks = sorted({record["rank"] for record in own})
    title = f"{module}, layer {layer}" if len(own[0]["support"]) > 1 else module
    limit = tag("path", d=f"M{LEFT},{_y(axis, trivial):.1f}H{WIDTH - RIGHT}", class_="limit")
    drawn = [_drawn(curve, axis, ranks) for curve in curves]
    label = f"Gap and bounds against the rank of {title}"
    frame = _frame(axis, ranks)
    svg = tag("svg", *frame, limit, *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)
    return {"title": title, "svg": svg, "key": [(_key_mark(curve), curve.words) for curve in curves]}


def _curves(own: Sequence[dict[str, Any]]) -> list[_Curve]:
    named: list[tuple[str, Pick]] = [(_spaced(name), estimate_at("rungs", name)) for name in distinct_rungs(own)]
    for name in forward_pass_bounds_of(own):
        named.append((f"forward pass: {_spaced(name)}", estimate_at("forward_pass", "rungs", name)))
    gap = _Curve("measured gap", "gap", _GAP, _points(own, estimate_at("gap")))
    found = [
        _Curve(words, f"curve c{place}", _MARKS[place % len(_MARKS)], _points(own, pick))
        for place, (words, pick) in enumerate(named)
    ]
    return [gap, *(curve for curve in found if curve.points)]


def _points(own: Sequence[dict[str, Any]], pick: Pick) -> list[tuple[int, float, float]]:
    columns = over_ranks(own, pick)
    return [
        (int(rank), float(mean), float(error))
        for rank, mean, error in zip(*columns, strict=True)
        if math.isfinite(mean) and mean > 0
    ]


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _x(ranks: Sequence[int], rank: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (rank - ranks[0] + 0.5) / (ranks[-1] - ranks[0] + 1)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * axis.place(value)


def _drawn(curve: _Curve, axis: Axis, ranks: Sequence[int]) -> Markup:
    """The line through its points, the marks with their numbers as titles, and the error bars of the gap."""
    at = [(_x(ranks, rank), _y(axis, mean)) for rank, mean, _ in curve.points]
    line = "".join(f"{'L' if i else 'M'}{x:.1f},{y:.1f}" for i, (x, y) in enumerate(at))
    bars = ""
    if curve.name == "gap":
        for (x, _), (_, mean, error) in zip(at, curve.points, strict=True):
            bars += f"M{x:.1f},{_y(axis, mean - _Z * error):.1f}V{_y(axis, mean + _Z * error):.1f}"
    marks = [
        tag("path", _words(curve, point), d=curve.mark, transform=f"translate({x:.1f},{y:.1f})", class_="point")
        for (x, y), point in zip(at, curve.points, strict=True)
    ]
    return tag("g", tag("path", d=line + bars, class_="line"), *marks, class_=curve.name)


def _words(curve: _Curve, point: tuple[int, float, float]) -> Markup:
    rank, mean, error = point
    return tag("title", f"{curve.words} at rank {rank}: {spelled(mean)} ± {spelled(error, 2)}")


def _frame(axis: Axis, ranks: Sequence[int]) -> list[Markup]:
    ticks = [(_y(axis, value), words) for value, words in axis.ticks()]
    lines = "".join(f"M{LEFT},{y:.1f}H{WIDTH - RIGHT}" for y, _ in ticks)
    names = [tag("text", words, x=LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end") for y, words in ticks]
    shown = ranks[:: max(1, math.ceil(len(ranks) / 12))]
    below = [
        tag("text", rank, x=f"{_x(ranks, rank):.1f}", y=HEIGHT - BOTTOM + 14, text_anchor="middle") for rank in shown
    ]
    middle = f"{(LEFT + WIDTH - RIGHT) / 2:.1f}"
    words = tag("text", "rank kept", x=middle, y=HEIGHT - 4, text_anchor="middle")
    edge = tag("path", d=f"M{LEFT},{HEIGHT - BOTTOM}H{WIDTH - RIGHT}", class_="axis")
    return [tag("path", d=lines, class_="grid"), edge, *names, *below, words]


def _key_mark(curve: _Curve) -> Markup:
    line = tag("path", d="M-9,0H9", class_="line")
    shape = tag("g", line, tag("path", d=curve.mark, class_="point"), class_=curve.name)
    return tag("svg", shape, viewBox="-10 -6 20 12", aria_hidden="true")
