"""Elements of SVG and MathML, whose shape the program decides; what a designer decides stands in the templates.

Text goes in as `str` and is escaped, finished markup is `Markup` and goes in as it is.
"""

import re

from markupsafe import Markup, escape

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(value: object) -> object:
    """`value`; in text that is not markup yet, characters that no page may hold are replaced by U+FFFD."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    return value


def escaped(text: object) -> Markup:
    """`text` with &, <, >, quotes replaced by entities, and only characters that a page may hold."""
    return escape(printable(text))


def joined(*parts: object) -> Markup:
    """The parts one after the other; `None` is left out."""
    return Markup("").join(escaped(part) for part in parts if part is not None)


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. `class_` stands for class, `aria_label` for aria-label; an attribute that is None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")
