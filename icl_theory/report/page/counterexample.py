"""A counterexample on the page: its numbers, and its exact form with whole numbers set as matrices."""

import json
from typing import Any

from icl_theory.report.page.elements import Markup, joined, tag
from icl_theory.report.page.formulas import sentence

_MATRICES = {"value": "$W_V$", "key": "$W_K$", "query": "$W_Q$"}
_SIGNS = {"equal": "≠", "at most": ">", "at least": "<"}
_CONFIRMED = {True: "it breaks the statement", False: "it does NOT break the statement", None: "not checked"}
_SHOWN = {True: "it is one", False: "it is NOT one", None: "not checked"}


def counterexample_view(found: dict[str, Any], example: bool = False) -> dict[str, Any]:
    """What claim.html shows of an entry of `counterexamples` in records.json, in addition to the entry itself.

    Args:
        found: the entry.
        example: whether the statement says that there is such a case.
    """
    document, exact = found["document"], found["document"]["exact"]
    # The file has the other seeds in full.
    short = document | {"others": [other["name"] for other in document["others"]]} if document["others"] else document
    return found | {
        "sign": _SIGNS.get(document["relation"], "against"),
        "seeds": len(document["others"]) + 1,
        "exact": [named(name, value) for name, value in exact.items()] if isinstance(exact, dict) else None,
        "heading": "An example" if example else "Counterexample",
        "confirmed": (_SHOWN if example else _CONFIRMED)[found["exact_confirmed"]],
        "text": json.dumps(short, ensure_ascii=False),
    }


def named(name: str, value: Any) -> Markup:
    """name = value, with whole numbers in rows as a matrix."""
    rows = value if isinstance(value, list) else [value]
    rows = rows if all(isinstance(row, list) for row in rows) else [rows]
    numbers = [entry for row in rows for entry in row]
    if not numbers or not all(isinstance(entry, int) for entry in numbers):
        return tag("code", f"{name} = {json.dumps(value, ensure_ascii=False)}")
    symbol = sentence(_MATRICES[name]) if name in _MATRICES else tag("math", tag("mtext", name))
    cells = [tag("mtr", *(tag("mtd", _whole(entry)) for entry in row)) for row in rows]
    matrix = tag("mrow", tag("mo", "("), tag("mtable", *cells), tag("mo", ")"))
    right = matrix if isinstance(value, list) else _whole(value)
    return joined(symbol, tag("math", tag("mo", "=", form="infix"), right))


def _whole(value: int) -> Markup:
    return tag("mn", str(value).replace("-", "−"))
