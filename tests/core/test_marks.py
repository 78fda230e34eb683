"""Marks around formulas: what is a formula, what is a dollar sign, and what plain reading makes of both."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from icl_theory.core import marks

TEXTS = st.text(st.sampled_from("$\\ xW_²"), max_size=12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$I$", [(True, "I")]),
        ("the $W_V$ of $h h'$.", [(False, "the "), (True, "W_V"), (False, " of "), (True, "h h'"), (False, ".")]),
        ("$a$$b$", [(True, "a"), (True, "b")]),
        (r"\$5 for $x$", [(False, "$5 for "), (True, "x")]),
        ("from $5 to $6", [(False, "from $5 to $6")]),
        ("one $ alone", [(False, "one $ alone")]),
        ("$x$ and $", [(True, "x"), (False, " and $")]),
        ("$$", [(False, "$$")]),
        ("", []),
    ],
)
def test_parts(text: str, expected: list[tuple[bool, str]]) -> None:
    assert list(marks.parts(text)) == expected
    assert marks.unmarked(text) == "".join(part for _, part in expected)


@pytest.mark.parametrize("text", ["", "words", "$x$", r"\$", r"\$5 or $x$", "$a$$b$"])
def test_balanced(text: str) -> None:
    assert marks.balanced(text)


@pytest.mark.parametrize("text", ["$", "$x", "$ x$", "$x $", "$$", "$a$ $b", "from $5 to $6"])
def test_unbalanced(text: str) -> None:
    assert not marks.balanced(text)


@given(TEXTS)
def test_foreign_words(text: str) -> None:
    """Words of others come out as they were."""
    assert list(marks.parts(marks.literal(text))) == [(False, text)] * bool(text)
    assert marks.balanced(marks.literal(text))


@given(TEXTS)
def test_only_marks_are_lost(text: str) -> None:
    """Nothing but marks is lost."""
    plain = marks.unmarked(text)
    assert plain.replace("$", "").replace("\\", "") == text.replace("$", "").replace("\\", "")
    assert not any("$" in part for formula, part in marks.parts(text) if formula)
