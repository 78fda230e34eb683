"""What the fields of claims and controls must be: each error names the field and what was probably meant."""

import difflib
from collections.abc import Sequence
from typing import Any

from icl_theory.core import checks, marks

_SYMBOLS = {"<=": "at most", "≤": "at most", "<": "at most", ">=": "at least", "≥": "at least", ">": "at least"}
_SYMBOLS |= {"=": "equal", "==": "equal"}


def require_option(name: str, value: Any, options: Sequence[str]) -> None:
    """Raises: ValueError unless it is one of the options, with the one that was probably meant."""
    if isinstance(value, str) and value in options:
        return
    near = [_SYMBOLS[value]] if value in _SYMBOLS else difflib.get_close_matches(str(value), options, 1)
    hint = f"did you mean {str(near[0])!r}" if near and near[0] in options else "choose one of these"
    raise checks.error(name, repr(value), "one of " + ", ".join(repr(str(o)) for o in options), hint)


def require_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise checks.error(name, repr(value), "text", "say it in words")
    require_balanced(name, value)


def require_balanced(name: str, text: str) -> None:
    """Raises: ValueError for a mark of a formula without its partner."""
    if not marks.balanced(text):
        hint = r"write $x$ around a formula without blanks at its ends, and \$ for a dollar sign"
        raise checks.error(name, repr(text), "marks in pairs", hint)


def require_callable(name: str, value: Any) -> None:
    if not callable(value):
        raise checks.error(name, f"a {type(value).__name__}", "a function", "pass the function, not what it returns")


def require_instances(name: str, values: Any, kind: type) -> None:
    if not isinstance(values, tuple) or not all(isinstance(value, kind) for value in values):
        got = f"a {type(values).__name__}" if not isinstance(values, tuple) else "something else among them"
        raise checks.error(name, got, f"a tuple of {kind.__name__}", f"write ({kind.__name__}(...),)")
