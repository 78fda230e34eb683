"""HTML that is escaped unless it was built here: text goes in as `str`, finished markup is `Markup`."""

import html
import re

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_VOID = ("meta", "wbr", "br", "hr")


class Markup(str):
    """Text that is HTML already and goes into a page as it is."""


def escaped(text: object) -> Markup:
    """`text` with &, <, >, quotes replaced by entities, and characters that no page may hold by U+FFFD."""
    if isinstance(text, Markup):
        return text
    return Markup(html.escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(text)), quote=True))


def joined(*parts: object) -> Markup:
    """The parts one after the other; `None` is left out."""
    return Markup("".join(escaped(part) for part in parts if part is not None))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element. `class_` stands for class, `aria_label` for aria-label; an attribute that is None is left out.

    True gives an attribute without a value, False none at all.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def _attribute(key: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{escaped(value)}"'
