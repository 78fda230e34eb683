"""The part of JSON Schema that the package's schema uses, written out by hand; a keyword not known here is an error."""

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}
WORDS = {"$schema", "title", "description", "$defs"}


def problems(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str = "$") -> Iterator[str]:
    """Every way in which `value` is not what `schema` asks for."""
    for keyword, wanted in schema.items():
        if keyword in WORDS:
            continue
        found = KEYWORDS[keyword](value, wanted, schema, root, place)
        yield from (f"{place}: {text}" if not text.startswith("$") else text for text in found)


def _is(value: Any, name: str) -> bool:
    return isinstance(value, TYPES[name]) and not (isinstance(value, bool) and name in ("integer", "number"))


def _type(value: Any, wanted: Any, *_: Any) -> Iterator[str]:
    names = [wanted] if isinstance(wanted, str) else wanted
    if not any(_is(value, name) for name in names):
        yield f"{value!r} is no {' or '.join(names)}"


def _enum(value: Any, wanted: Any, *_: Any) -> Iterator[str]:
    if not any(value == option and type(value) is type(option) for option in wanted):
        yield f"{value!r} is none of {wanted}"


def _required(value: Any, wanted: Any, *_: Any) -> Iterator[str]:
    yield from (f"{name} is missing" for name in wanted if isinstance(value, dict) and name not in value)


def _properties(value: Any, wanted: Any, _: Any, root: Any, place: str) -> Iterator[str]:
    for name in wanted if isinstance(value, dict) else ():
        if name in value:
            yield from problems(value[name], wanted[name], root, f"{place}.{name}")


def _additional(value: Any, wanted: Any, schema: Any, root: Any, place: str) -> Iterator[str]:
    for name in value if isinstance(value, dict) else ():
        if name in schema.get("properties", {}):
            continue
        if wanted is False:
            yield f"{name} is not expected"
        else:
            yield from problems(value[name], wanted, root, f"{place}.{name}")


def _items(value: Any, wanted: Any, _: Any, root: Any, place: str) -> Iterator[str]:
    for i, item in enumerate(value if isinstance(value, list) else ()):
        yield from problems(item, wanted, root, f"{place}[{i}]")


def _reference(value: Any, wanted: str, _: Any, root: Any, place: str) -> Iterator[str]:
    target = root
    for step in wanted.removeprefix("#/").split("/"):
        target = target[step]
    yield from problems(value, target, root, place)


def _any_of(value: Any, wanted: Any, _: Any, root: Any, place: str) -> Iterator[str]:
    if all(list(problems(value, option, root, place)) for option in wanted):
        yield f"{value!r} fits none of the alternatives"


def _minimum(value: Any, wanted: Any, *_: Any) -> Iterator[str]:
    if _is(value, "number") and value < wanted:
        yield f"{value} is below {wanted}"


def _pattern(value: Any, wanted: str, *_: Any) -> Iterator[str]:
    if isinstance(value, str) and not re.search(wanted, value):
        yield f"{value!r} does not match {wanted}"


KEYWORDS = {
    "type": _type,
    "enum": _enum,
    "const": lambda value, wanted, *rest: _enum(value, [wanted], *rest),
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "$ref": _reference,
    "anyOf": _any_of,
    "minimum": _minimum,
    "pattern": _pattern,
}


SCHEMA = json.loads(files("icl_theory.report").joinpath("assets", "records.schema.json").read_text(encoding="utf-8"))
