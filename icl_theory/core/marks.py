r"""Formulas in the texts of claims: `$...$` around each, `\$` for a dollar sign; the formula itself is plain Unicode.

    $||W - W_r||_F² = Σ_{i>r} σ_i²$ for the best rank-$r$ approximation

JSON documents keep the marks and the page sets what stands between them; whatever else is read takes `unmarked` text.
"""

import re
from collections.abc import Iterator

_MARKED = re.compile(r"\\\$|\$(?=\S)([^$]*[^$\s\\])\$")
"""A dollar sign that is meant, or a formula: blanks at its ends there are none, as in "from $5 to $6"."""


def parts(text: str) -> Iterator[tuple[bool, str]]:
    """The text in pieces, without marks: (whether it is a formula, the piece). A mark without its partner is text."""
    at, words = 0, ""
    for found in _MARKED.finditer(text):
        words, at = words + text[at : found.start()], found.end()
        if found[1] is None:
            words += "$"
            continue
        yield from [(False, words)] * bool(words)
        yield True, found[1]
        words = ""
    words += text[at:]
    yield from [(False, words)] * bool(words)


def unmarked(text: str) -> str:
    """The text as it is read in a terminal or a spreadsheet, without marks around its formulas."""
    return "".join(part for _, part in parts(text))


def literal(text: str) -> str:
    """Words of others, in which a dollar sign is a dollar sign, as a marked text."""
    return text.replace("$", r"\$")


def balanced(text: str) -> bool:
    """Whether every mark has its partner."""
    return "$" not in _MARKED.sub("", text)
