"""The page's templates, in icl_theory/report/templates: what they may call, and how they are filled in.

Every value is escaped unless it is markup; a name that does not exist is an error, never an empty place.
"""

import re
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from icl_theory.records.documents import from_plain
from icl_theory.report.page import axes
from icl_theory.report.page.elements import printable
from icl_theory.report.page.formulas import sentence
from icl_theory.report.page.words import ORIGINS, VERDICT_SIGNS, plural, title

_LAYOUT = re.compile(r">(?:\n|\s{2,})<")


def filled(name: str, **values: Any) -> Markup:
    """A template with these values in it.

    White space between two tags is layout of the template and goes, except for a single blank: in a line of text that
    is a gap between two words.
    """
    return Markup(_LAYOUT.sub("><", _environment().get_template(name).render(values)))


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("icl_theory.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=printable,
    )
    made.filters |= {"number": from_plain, "origin": _origin, "plural": plural, "sentence": sentence, "heading": title}
    made.filters["spelled"] = _spelled
    made.globals["verdict_signs"] = VERDICT_SIGNS
    return made


def _spelled(value: Any, digits: int = 3) -> str:
    """A number of a record as one prints it."""
    return axes.spelled(from_plain(value), digits)


def _origin(printed: str) -> str:
    return ORIGINS.get(printed, printed)
