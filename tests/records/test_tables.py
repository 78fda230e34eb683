"""Comma-separated values: how each kind of cell is spelt, and that it comes back."""

import csv
import io

import numpy as np
import pytest

from icl_theory.records.tables import csv_text


def test_every_kind_of_cell() -> None:
    row = {"a": None, "b": True, "c": False, "d": 1 / 3, "e": np.float64(0.1), "f": float("inf"), "g": -7, "h": "nan"}
    assert csv_text([*row, "missing"], [row]) == (
        "a,b,c,d,e,f,g,h,missing\n,true,false,0.3333333333333333,0.1,inf,-7,nan,\n"
    )
    assert csv_text(["a"], []) == "a\n"


@pytest.mark.parametrize("text", ["a,b", 'a "b"', "two\nlines", "old\rMac", "DOS\r\nline", " spaces ", "ΔW ≤ 1", ""])
def test_line_feeds(text: str) -> None:
    """Text comes back with line feeds only."""
    made = csv_text(["text", "after"], [{"text": text, "after": 1}, {"text": "x", "after": 2}])
    assert "\r" not in made
    rows = list(csv.DictReader(io.StringIO(made, newline="")))
    assert [row["after"] for row in rows] == ["1", "2"]
    assert rows[0]["text"] == "\n".join(text.splitlines())


def test_unknown_column() -> None:
    """A name that is no column is an error."""
    with pytest.raises(ValueError, match="other"):
        csv_text(["a"], [{"other": 1}])
