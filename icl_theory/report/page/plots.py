"""The evidence of a claim's record as inline SVG: one column per case, nothing computed, nothing drawn but the record.

Upper panel: the measured number as a mark in the shape and colour of its verdict, the predicted one as a bar, and an
error bar where there is a standard error. Lower panel: the slack, that is the distance from the statement's edge.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from icl_theory.records.documents import from_plain
from icl_theory.report.page.axes import Axis, fitted, residual_axis, signed_axis, spelled
from icl_theory.report.page.elements import Markup, joined, tag

WIDTH, HEIGHT = 380, 176
LEFT, RIGHT, TOP, BOTTOM = 66, 8, 8, 26
_MARKS = {
    "HOLDS": "M-3,0a3,3 0 1,0 6,0a3,3 0 1,0 -6,0z",
    "FAILS": "M-3.2,-3.2L3.2,3.2M-3.2,3.2L3.2,-3.2",
    "DEPENDS": "M-3.4,0H3.4M0,-3.4V3.4M-3.4,3.8H3.4",
    "VACUOUS": "M-2.8,-2.8H2.8V2.8H-2.8z",
    "OUTSIDE": "M0,-3.4L3.4,2.6H-3.4z",
    "INCONCLUSIVE": "M0,-3.6L3.6,0L0,3.6L-3.6,0z",
    "NONFINITE": "M-3.4,0H3.4M0,-3.4V3.4M-2.4,-2.4L2.4,2.4M-2.4,2.4L2.4,-2.4",
    "ERROR": "M-3.2,-3.2H3.2V3.2H-3.2zM-3.2,-3.2L3.2,3.2M-3.2,3.2L3.2,-3.2",
}
"""Outline of a mark by verdict, around the origin: distinguishable without colour."""


@dataclass(frozen=True)
class _Point:
    """One case of a claim."""

    index: int
    case: str
    verdict: str
    measured: float
    predicted: float
    slack: float
    stderr: float


def _points(claim: dict[str, Any]) -> list[_Point]:
    names = ("measured", "predicted", "slack", "stderr")
    return [
        _Point(i, item["case"], item["verdict"], *(from_plain(item[name]) for name in names))
        for i, item in enumerate(claim["evidence"])
    ]


def evidence_figures(claim: dict[str, Any], z: float) -> list[tuple[Markup, str]]:
    """(SVG, caption) of every panel that the record can fill; none if no case has a number.

    Args:
        claim: an entry of `claims` in records.json.
        z: the number of standard errors that decide.
    """
    points = _points(claim)
    if claim["relation"] == "trend":
        return [_scores(points)] if any(math.isfinite(p.measured) for p in points) else []
    if claim["relation"] in ("never", "exists"):
        return [_seen(points)] if any(math.isfinite(p.measured) for p in points) else []
    known = [p for p in points if math.isfinite(p.measured) or math.isfinite(p.predicted)]
    if not known:
        return []
    exact = [p for p in known if p.stderr == 0 and not math.isnan(p.slack)]
    sampled = [p for p in known if p.stderr > 0]
    panels = [_values(points, z)]
    if exact and not claim["over_seeds"]:  # relative to each seed's own numbers, which the mean is not made of
        panels.append((_residuals if claim["relation"] == "equal" else _margins)(points, exact, claim))
    if sampled:
        panels.append(_errors(points, sampled, z, claim["relation"]))
    return panels


def key(verdicts: Sequence[str]) -> list[tuple[Markup, str]]:
    """(mark, words) of the verdicts given: what the marks stand for."""
    return [(_key_mark(verdict), verdict.lower()) for verdict in _MARKS if verdict in verdicts]


def _key_mark(verdict: str) -> Markup:
    shape = tag("path", d=_MARKS[verdict], class_=f"mark {verdict.lower()}")
    return tag("svg", shape, viewBox="-6 -6 12 12", aria_hidden="true")


def _x(points: Sequence[_Point], index: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (index + 0.5) / len(points)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * axis.place(value)


def _line(x1: float, y1: float, x2: float, y2: float, name: str) -> Markup:
    return tag("path", d=f"M{x1:.1f},{y1:.1f}L{x2:.1f},{y2:.1f}", class_=name)


def _across(y: float, name: str) -> Markup:
    """A line over the whole width of the panel."""
    return _line(LEFT, y, WIDTH - RIGHT, y, name)


def _left_of(y: float, words: str) -> Markup:
    """A label of the vertical axis."""
    return _text(LEFT - 6, y + 4, words, "end")


def _text(x: float, y: float, words: str, anchor: str = "middle") -> Markup:
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _numbers(point: _Point) -> Markup:
    """The title of a mark, shown by the pointer."""
    words = f"{point.case}: {point.verdict}, measured {spelled(point.measured, 4)}"
    if not math.isnan(point.predicted):
        words += f", predicted {spelled(point.predicted, 4)}"
    words += f" ± {spelled(point.stderr, 2)}" if point.stderr > 0 else ""
    return tag("title", words)


def _mark(points: Sequence[_Point], point: _Point, y: float, title: Markup | None = None) -> Markup:
    place = f"translate({_x(points, point.index):.1f},{y:.1f})"
    shape = _MARKS.get(point.verdict, _MARKS["NONFINITE"])
    return tag("path", title, d=shape, transform=place, class_=f"mark {point.verdict.lower()}")


def _groups(points: Sequence[_Point]) -> tuple[str, Markup]:
    """Thin lines between kinds of cases, as a path, and below the axis what their names begin with ("random, ...")."""
    kinds = [p.case.split(",")[0].split(" at ")[0][:16] for p in points]
    starts = [i for i in range(len(kinds)) if i == 0 or kinds[i] != kinds[i - 1]]
    y, edges, names = HEIGHT - BOTTOM, "", []
    if len(starts) > 12:
        return "", _text((LEFT + WIDTH - RIGHT) / 2, y + 17, f"{len(points)} cases")
    for start, end in zip(starts, [*starts[1:], len(kinds)], strict=True):
        left, right = _x(points, start), _x(points, end - 1)
        if start:
            edges += f"M{(_x(points, start - 1) + left) / 2:.1f},{TOP}V{y + 5}"
        enough = 5.4 * len(kinds[start]) <= (WIDTH - LEFT - RIGHT) * (end - start) / len(kinds)
        names.append(_text((left + right) / 2, y + 17, kinds[start]) if enough else None)
    return edges, joined(*names)


def _panel(points: Sequence[_Point], axis: Axis, label: str, *content: object) -> Markup:
    """Frame, ticks and content of a panel; `label` is what a screen reader says."""
    ticks = [(_y(axis, at), words) for at, words in axis.ticks()]
    edges, names = _groups(points)
    grid = tag("path", d="".join(f"M{LEFT},{y:.1f}H{WIDTH - RIGHT}" for y, _ in ticks) + edges, class_="grid")
    parts = grid, *(_left_of(*tick) for tick in ticks), _across(HEIGHT - BOTTOM, "axis"), names, *content
    return tag("svg", *parts, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label)


def _values(points: Sequence[_Point], z: float) -> tuple[Markup, str]:
    """Measured and predicted numbers; what is infinite lies on the edge, what is no number is not drawn."""
    spread = [v for p in points for v in (p.measured - z * p.stderr, p.measured + z * p.stderr) if p.stderr > 0]
    axis = fitted([*(p.measured for p in points), *(p.predicted for p in points)], include=spread)
    half = min(7.0, 0.4 * (WIDTH - LEFT - RIGHT) / len(points))
    parts, bars = [], ""
    for p in points:
        x = _x(points, p.index)
        if not math.isnan(p.predicted):
            bars += f"M{x - half:.1f},{_y(axis, p.predicted):.1f}h{2 * half:.1f}"
        if p.stderr > 0:
            low, high = (_y(axis, p.measured + side * z * p.stderr) for side in (-1, 1))
            parts.append(_line(x, low, x, high, "error"))
        if math.isfinite(p.measured):
            parts.append(_mark(points, p, _y(axis, p.measured), _numbers(p)))
    errors = f", with error bars of ±{z:g} standard errors of the difference" if spread else ""
    scale = "; logarithmic scale" if axis.kind == "log" else ""
    label = f"Measured and predicted values of {len(points)} cases"
    predicted = tag("path", d=bars, class_="predicted")
    return _panel(points, axis, label, predicted, *parts), f"Measured (marks) and predicted (bars){errors}{scale}."


def _residuals(points: Sequence[_Point], exact: Sequence[_Point], claim: dict[str, Any]) -> tuple[Markup, str]:
    """|slack| of an exact equality on a logarithmic axis, with the tolerance; a residual of 0 lies on the bottom."""
    tolerance = from_plain(claim["tolerance"])
    axis = residual_axis((abs(p.slack) for p in exact), tolerance)
    marks = [_mark(points, p, _y(axis, abs(p.slack))) for p in exact]
    limit = _across(_y(axis, tolerance), "limit")
    zeros = " A mark on the lower edge is a residual of exactly 0." if any(p.slack == 0 for p in exact) else ""
    caption = f"Relative residual; the dashed line is the tolerance {spelled(tolerance, 1)}.{zeros}"
    return _panel(points, axis, f"Relative residual of {len(exact)} cases", limit, *marks), caption


def _margins(points: Sequence[_Point], exact: Sequence[_Point], claim: dict[str, Any]) -> tuple[Markup, str]:
    """Slack of an exact inequality, relative to the numbers; below the line, minus the tolerance, it is broken."""
    tolerance = from_plain(claim["tolerance"])
    # The limit is on the axis, so that rounding of 1e-16 looks as small as it is; below 0 no axis is logarithmic.
    axis = fitted((p.slack for p in exact), include=(-tolerance, 0.0))
    limit = _across(_y(axis, -tolerance), "limit")
    marks = [_mark(points, p, _y(axis, p.slack)) for p in exact]
    line = f"the dashed line, at −{spelled(tolerance, 1)},"
    caption = f"Margin relative to the larger number; below {line} the statement is broken."
    return _panel(points, axis, f"Relative margin of {len(exact)} cases", limit, *marks), caption


def _errors(points: Sequence[_Point], sampled: Sequence[_Point], z: float, relation: str) -> tuple[Markup, str]:
    """Slack in standard errors, with the limits that decide."""
    axis = signed_axis((p.slack for p in sampled), z)
    limits = (-z,) if relation == "equal" else (-z, z)
    lines = [_across(_y(axis, v), "limit") for v in limits]
    marks = [_mark(points, p, _y(axis, p.slack)) for p in sampled]
    decides = "below the dashed line it fails" if relation == "equal" else "between the dashed lines nothing is decided"
    caption = f"Margin in standard errors; {decides} (±{z:g}; scale logarithmic on both sides of 0)."
    return _panel(points, axis, f"Margin of {len(sampled)} cases in standard errors", *lines, *marks), caption


def _scores(points: Sequence[_Point]) -> tuple[Markup, str]:
    """For a finding on a grid: the mean score of all cells and of those of every level, from -1 to 1."""
    shown = [p for p in points if p.stderr == 0]
    axis = Axis("linear", -1.05, 1.05)
    marks = [_mark(points, p, _y(axis, p.measured), _numbers(p)) for p in shown]
    limit = _across(_y(axis, 0.0), "limit")
    label = f"Scores of {len(shown)} sets of cells"
    caption = "Score of all cells, then of those of each level of a factor: 1 where all seeds are for the statement, "
    return _panel(points, axis, label, limit, *marks), caption + "-1 where all are against it."


def _seen(points: Sequence[_Point]) -> tuple[Markup, str]:
    """For "never" and "exists": whether the event was seen, case by case."""
    axis = Axis("linear", -0.5, 1.5)
    words = [_left_of(_y(axis, v), t) for v, t in ((0.0, "not seen"), (1.0, "seen"))]
    marks = [_mark(points, p, _y(axis, p.measured), _numbers(p)) for p in points if math.isfinite(p.measured)]
    box, (edges, names) = f"0 0 {WIDTH} {HEIGHT}", _groups(points)
    frame = joined(tag("path", d=edges, class_="grid"), _across(HEIGHT - BOTTOM, "axis"), names)
    label = f"Seen or not seen in {len(points)} cases"
    svg = tag("svg", *words, frame, *marks, viewBox=box, role="img", aria_label=label)
    return svg, "Whether what the statement speaks of was seen, case by case."
