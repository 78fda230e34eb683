"""Texts under the fields of a dataclass, which Python drops, for `help()` and for the functions that take these fields.

Nothing is imported here that takes time: the options of the command line rest on it.
"""

import ast
import inspect
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


def fields_in_help(cls: C) -> C:
    """Class decorator: the texts under the fields, those of base classes first, become part of the docstring."""
    found = field_docs(cls)
    if found and cls.__doc__:
        lines = [f"    {name}: {text}" for name, text in found.items()]
        cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__), "", "Fields:", *lines])
    return cls


def fields_in_args(config: type) -> Callable[[F], F]:
    """Decorator: parameters of a function that are fields of `config` are documented by the texts under these fields.

    They follow the parameters that the docstring documents itself, in the order of the signature.
    """

    def documented(function: F) -> F:
        if function.__doc__:  # python -OO has none
            own, texts = inspect.getdoc(function) or "", field_docs(config)
            head, args, rest = own.partition("\nArgs:\n")
            names = [name for name in inspect.signature(function).parameters if f"\n    {name}: " not in f"\n{rest}"]
            lines = [f"    {name}: {texts[name]}" for name in names if name in texts]
            listed, blank, after = rest.partition("\n\n")
            function.__doc__ = head + args + "\n".join([listed, *lines]) + blank + after
        return function

    return documented


def field_docs(cls: type) -> dict[str, str]:
    """Field → the text under it on one line, for the class and its bases; the nearest text counts."""
    texts = {}
    for base in reversed(cls.__mro__):
        found = _field_docs(_source(base)).get(base.__qualname__, {})
        texts |= {name: " ".join(text.split()) for name, text in found.items()}
    return texts


def _source(cls: type) -> str:
    try:
        return inspect.getsourcefile(cls) or ""
    except TypeError:
        return ""  # a built-in class


@lru_cache
def _field_docs(path: str) -> dict[str, dict[str, str]]:
    """Class → field → the literal below it, for every class at the top of a file."""
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, SyntaxError):
        return {}  # no source at hand: the docstring stays as it is
    return {node.name: dict(_documented(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _documented(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for before, after in zip(node.body, node.body[1:], strict=False):
        literal = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if literal and isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name):
            yield before.target.id, str(after.value.value)  # pyright: ignore[reportAttributeAccessIssue]
