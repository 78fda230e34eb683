"""Docstrings that tools can read: every parameter of a public name on a line of its own, and an example that runs."""

import doctest
import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import ModuleType
from typing import Any

import docstring_parser
import pytest

import icl_theory
from icl_theory import claims, tasks

SHARE = 0.98
"""Of the parameters, at least; the aim is all of them."""


def public() -> dict[str, Any]:
    """Every public function and class by dotted name, once."""
    found: dict[str, Any] = {}
    for package in (icl_theory, claims, tasks):
        for name in dir(package):
            thing = getattr(package, name)
            if not name.startswith("_") and not isinstance(thing, ModuleType) and thing not in found.values():
                found[f"{package.__name__}.{name}"] = thing
    return found


NAMES = {name: thing for name, thing in public().items() if callable(thing)}


def callables(thing: Any) -> Iterator[tuple[str, Any]]:
    """The thing itself, or the methods that a class defines; a dataclass's own constructor is its fields."""
    if not inspect.isclass(thing):
        yield "", thing
        return
    own = getattr(thing, "__dataclass_fields__", {})  # a default that is a function is no method
    for name, member in vars(thing).items():
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not name.startswith("_") and name not in own and inspect.isfunction(function):
            yield f".{name}", function


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def documented(text: str) -> set[str]:
    """Names under Args, as a parser for Google-style docstrings sees them."""
    return {p.arg_name for p in docstring_parser.parse(text, docstring_parser.DocstringStyle.GOOGLE).params}


def texts(thing: Any, function: Any) -> list[str]:
    """The docstring of a function; of a method also those of the methods that it takes the place of."""
    same = [vars(base).get(function.__name__) for base in thing.__mro__] if inspect.isclass(thing) else [function]
    return [inspect.getdoc(getattr(one, "__func__", one)) or "" for one in same if one is not None]


def missing() -> tuple[list[str], int]:
    """Parameters that no parser finds, and how many there are."""
    gone, count = [], 0
    for name, thing in NAMES.items():
        for suffix, function in callables(thing):
            known = set().union(*map(documented, texts(thing, function)))
            asked = parameters(function)
            count += len(asked)
            gone += [f"{name}{suffix}({parameter})" for parameter in asked if parameter not in known]
        if inspect.isclass(thing) and is_dataclass(thing):
            own = [field.name for field in fields(thing) if field.init]
            text = inspect.getdoc(thing) or ""
            known = documented(text) | {
                line.split(":")[0].strip() for line in text.partition("Fields:")[2].splitlines()
            }
            count += len(own)
            gone += [f"{name}({field})" for field in own if field not in known]
    return gone, count


def test_parameters_documented() -> None:
    gone, count = missing()
    assert count > 300
    assert len(gone) <= (1 - SHARE) * count, f"{len(gone)} of {count}: " + ", ".join(gone)


def test_grouped_parameters_are_missed() -> None:
    """The control: two parameters on one line are one for a parser."""
    assert documented("One.\n\nArgs:\n    a: first. b: second.\n") == {"a"}
    assert documented("One.\n\nArgs:\n    a: first.\n    b: second.\n") == {"a", "b"}


@pytest.mark.parametrize("name", NAMES)
def test_examples(name: str) -> None:
    """Every public name has an example, which shows what it shows."""
    thing = NAMES[name]
    found = doctest.DocTestFinder(recurse=False).find(thing, name, module=False, globs={})
    examples = [test for test in found if test.examples]
    assert examples, "no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in examples:
        said: list[str] = []
        runner.run(test, out=said.append)
        assert not said, "".join(said)
