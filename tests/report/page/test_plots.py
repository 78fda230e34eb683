"""Plots of the page: marks stand where the numbers say, scales are honest, nothing is drawn that was not recorded."""

import copy
import itertools
import math
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger import document

from icl_theory.report.page.axes import Axis, fitted, residual_axis, signed_axis, spelled, typeset
from icl_theory.report.page.plots import HEIGHT, LEFT, RIGHT, WIDTH, evidence_figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1.00"),
        (-0.25, "−0.250"),
        (123456.0, "123456"),
        (1.5e-16, "1.50×10⁻¹⁶"),
        (-2e7, "−2.00×10⁷"),
        (math.inf, "+∞"),
        (-math.inf, "−∞"),
        (math.nan, "not a number"),
        (0.00123, "0.00123"),
    ],
)
def test_spelled_numbers(value: float, text: str) -> None:
    """Numbers are spelled as one prints them."""
    assert spelled(value) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("25/25 cases, worst 6e-16", "25/25 cases, worst 6×10⁻¹⁶"),
        ("-1.28 != -0.147 (±8e-05)", "−1.28 ≠ −0.147 (±8×10⁻⁵)"),
        ("bound +inf; sub-Gaussian, one-1, 1.0e+20", "bound +∞; sub-Gaussian, one-1, 1.0×10²⁰"),
        ("N - 1 ≥ d_t and e-mail", "N - 1 ≥ d_t and e-mail"),
    ],
)
def test_numbers_in_a_line(text: str, expected: str) -> None:
    """Numbers within a line are typeset."""
    assert typeset(text) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_spelled_is_the_number(value: float) -> None:
    """A spelled number is the number."""
    back = spelled(value, 17).replace("−", "-").replace("×10", "e")
    back = back.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    assert float(back) == pytest.approx(value, rel=1e-15, abs=0)


AXES = [
    Axis("linear", -2.0, 7.0),
    Axis("log", 1e-17, 1e-3),
    Axis("signed", -1000.0, 50.0),
    Axis("linear", 1.0000001, 1.0000002),
    fitted([1.0, 1.0]),
    fitted([0.0, 0.0]),
    fitted([math.nan, math.inf]),
    fitted([1e-3, 4.0, 900.0]),
    fitted([-3.0, 900.0]),
    residual_axis([0.0, 1e-13], 1e-11),
    signed_axis([724.0, 3.0], 6.0),
    signed_axis([math.inf], 6.0),
]


@pytest.mark.parametrize("axis", AXES)
def test_axis(axis: Axis) -> None:
    """An axis is monotone and its ticks lie on it."""
    assert axis.place(axis.low) == 0.0
    assert axis.place(axis.high) == 1.0
    ticks = axis.ticks()
    assert 1 <= len(ticks) <= 8
    places = [axis.place(value) for value, _ in ticks]
    assert places == sorted(set(places))
    assert len({text for _, text in ticks}) == len(ticks)
    assert all(axis.low - 1e-9 * abs(axis.low) <= value <= axis.high * (1 + 1e-9) for value, _ in ticks)
    assert axis.place(math.inf) == 1.0
    assert axis.place(-math.inf) == 0.0


def test_kind_of_scale() -> None:
    """The kind of a scale follows the numbers."""
    assert fitted([1e-3, 900.0]).kind == "log"
    assert fitted([1.0, 2.0]).kind == "linear"
    assert fitted([-1.0, 900.0]).kind == "linear"
    assert Axis("log", 1e-4, 1.0).place(1e-2) == pytest.approx(0.5)
    assert Axis("signed", -99.0, 99.0).place(0.0) == pytest.approx(0.5)


def claim(label: str) -> dict[str, Any]:
    return next(found for found in document()["claims"] if found["label"] == label)


def marks(svg: str) -> list[tuple[float, float, str]]:
    """(x, y, class) of every mark."""
    found = []
    for path in ElementTree.fromstring(svg).iter("path"):
        if "mark" in path.get("class", ""):
            x, y = map(float, re.findall(r"-?[\d.]+", path.get("transform", "")))
            found.append((x, y, path.get("class", "").split()[1]))
    return found


def lines(svg: str, name: str) -> list[list[float]]:
    """x1, y1, x2, y2 of every line of that class."""
    found = []
    for path in ElementTree.fromstring(svg).iter("path"):
        for part in path.get("d", "").split("M")[1:] if path.get("class") == name else ():
            x, y, *rest = (float(number) for number in re.findall(r"-?[\d.]+", part))
            found.append([x, y, x + rest[0], y] if "h" in part else [x, y, *rest])
    return found


def test_one_mark_per_case() -> None:
    """One mark per case at its place."""
    (values, _), (residuals, caption) = evidence_figures(claim("equal"), 6.0)
    drawn = marks(values)
    assert [name for *_, name in drawn] == ["holds"] * 6
    step = (WIDTH - LEFT - RIGHT) / 6
    assert [x for x, *_ in drawn] == pytest.approx([LEFT + step * (i + 0.5) for i in range(6)], abs=0.06)
    # measured = 10^i: on a logarithmic axis the heights are evenly spaced, and the predicted bars lie on the marks
    heights = [y for _, y, _ in drawn]
    gaps = [a - b for a, b in itertools.pairwise(heights)]
    assert gaps == pytest.approx([gaps[0]] * 5, abs=0.11)
    assert gaps[0] > 5
    assert [line[1] for line in lines(values, "predicted")] == pytest.approx(heights, abs=0.06)
    # residuals: 0 on the lower edge, 1e-13 two decades below the tolerance of 1e-11
    places = [y for _, y, _ in marks(residuals)]
    [limit] = lines(residuals, "limit")
    assert places[0] == places[2] > places[1] > limit[1]
    assert "1×10⁻¹¹" in caption
    assert "exactly 0" in caption


def test_broken_inequality() -> None:
    """A broken inequality is drawn below the line."""
    _, (margins, _) = evidence_figures(claim("fails"), 6.0)
    [limit] = lines(margins, "limit")
    for _, y, verdict in marks(margins):
        assert (y > limit[1]) == (verdict == "fails")
    assert {verdict for *_, verdict in marks(margins)} == {"fails", "holds"}


def test_rounding() -> None:
    """What the check lets pass lies above the line, and what is just beyond the tolerance below it."""
    record = copy.deepcopy(claim("fails"))
    slacks = (-3e-16, 0.0, 2e-15, -0.9e-11, -1.1e-11, 1e-12)
    for item, slack in zip(record["evidence"], slacks, strict=True):
        item["slack"] = slack
    _, (margins, caption) = evidence_figures(record, 6.0)
    [limit] = lines(margins, "limit")
    assert [y < limit[1] for _, y, _ in marks(margins)] == [slack > -1e-11 for slack in slacks]
    assert "−1×10⁻¹¹" in caption


@pytest.mark.parametrize(
    ("axis", "labels"),
    [
        (Axis("linear", -1e17, 8.2e17), ["0", "2×10¹⁷", "4×10¹⁷", "6×10¹⁷", "8×10¹⁷"]),
        (Axis("linear", -1.1e-16, 0.0), ["−1.0×10⁻¹⁶", "−5×10⁻¹⁷", "0"]),
        (Axis("linear", 1e5, 1.00004e5), ["100000", "100001", "100002", "100003", "100004"]),
        (Axis("linear", -2e6, 7.9e6), ["−2×10⁶", "0", "2×10⁶", "4×10⁶", "6×10⁶"]),
    ],
)
def test_tick_digits(axis: Axis, labels: list[str]) -> None:
    """Ticks have no more digits than distinguish them."""
    assert [text for _, text in axis.ticks()] == labels
    assert max(map(len, labels)) <= 10  # what the margin to the left of the axis holds


def test_error_bars() -> None:
    """Estimates have error bars of the errors requested."""
    record = claim("sampled")
    (six, caption), (errors, _) = evidence_figures(record, 6.0)
    assert "±6 standard errors" in caption
    assert len(lines(six, "error")) == 6
    [first, *_] = lines(six, "error")
    y = marks(six)[0][1]
    assert first[1] - y == pytest.approx(y - first[3], abs=0.11)
    [predicted, *_] = lines(six, "predicted")
    # 5.0 ± 6 x 0.1 against 1.0: the bar's half length is 0.6 / 4 of the distance
    assert (first[1] - y) / (predicted[1] - y) == pytest.approx(0.15, abs=0.01)
    upper, lower = sorted(line[1] for line in lines(errors, "limit"))
    assert all(y < upper < lower for _, y, _ in marks(errors))  # 40 standard errors are above both lines
    _, (undecided, _) = evidence_figures(claim("undecided"), 6.0)
    upper, lower = sorted(line[1] for line in lines(undecided, "limit"))
    assert all(upper < y < lower for _, y, _ in marks(undecided))


def test_infinite_and_nan() -> None:
    """What is infinite lies on the edge and what is no number is not drawn."""
    values, *_ = evidence_figures(claim("vacuous"), 6.0)
    assert {line[1] for line in lines(values[0], "predicted")} == {8.0}
    assert evidence_figures(claim("outside"), 6.0) == []
    [(svg, _)] = evidence_figures(claim("not_finite"), 6.0)  # what was predicted, and nothing measured
    assert marks(svg) == []
    assert len(lines(svg, "predicted")) == 6


def test_seen_or_not_seen() -> None:
    record = copy.deepcopy(claim("never_seen"))
    [(svg, _)] = evidence_figures(record, 6.0)
    before = [y for _, y, _ in marks(svg)]
    assert len(set(before)) == 1
    record["evidence"][2]["measured"] = 1.0
    [(svg, _)] = evidence_figures(record, 6.0)
    after = [y for _, y, _ in marks(svg)]
    assert after[2] < before[2]
    assert after[:2] == before[:2]


def test_marks() -> None:
    """Every mark says its numbers and lies within the frame."""
    for record in document()["claims"]:
        for svg, caption in evidence_figures(record, 6.0):
            tree = ElementTree.fromstring(svg)
            titles = [title.text or "" for title in tree.iter("title")]
            assert len(titles) == (0 if caption.startswith(("Relative", "Margin")) else len(marks(svg)))
            assert all("measured" in text for text in titles)
            assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y, _ in marks(svg))
            assert caption.endswith(".")
            assert tree.get("role") == "img"
            assert tree.get("aria-label")
