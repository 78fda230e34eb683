"""Tasks and laws written down as plain values, and built again from them: what a counterexample file holds.

Every class registers itself by name when it is made. A class of another package is found if its module has been
imported; a module that a file names is never imported.
"""

import math
from collections.abc import Mapping
from dataclasses import Field
from inspect import isabstract
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from icl_theory.core import checks

if TYPE_CHECKING:
    from icl_theory.tasks.base import Task

W = TypeVar("W", bound="Written")
_CLASSES: dict[str, type["Written"]] = {}
_FOREIGN = "a number, a string, an array, a list of them, or a law or task with fields of its own"


class Written:
    """What can be written down field by field: a dataclass, or a class whose objects hold nothing."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _CLASSES[name_of(cls)] = cls

    def to_dict(self) -> dict[str, Any]:
        """The type's name and every field it is made from, as numbers, strings and nested lists.

        Returns: what `task_from_dict` builds the same task from, floats bit by bit. Methods are not written: the class
            has to be there, under its name.
        Raises: ValueError for a field that is no plain value, or an object that its fields do not determine.
        """
        described = _described(self)
        try:
            same = _described(_built(type(self), described)) == described
        except (TypeError, ValueError) as error:
            expected = "a class made from its fields"
            raise checks.error(_what(self), str(error), expected, "make it a dataclass") from None
        if not same:
            raise checks.error(_what(self), "other fields than it was made from", "a frozen dataclass", "make it one")
        return described


def name_of(cls: type) -> str:
    """The name of a class in a record: bare for this package, with its module for any other."""
    return cls.__name__ if cls.__module__.startswith("icl_theory.") else f"{cls.__module__}.{cls.__qualname__}"


def _what(value: Any) -> str:
    return f"{type(value).__name__} to be written down"


def _described(value: Written) -> dict[str, Any]:
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is None:
        if vars(value):
            raise checks.error(_what(value), "an object without fields", "a dataclass", "make its class a dataclass")
        fields = {}
    own = {name: _plain(value, name, getattr(value, name)) for name, field in fields.items() if field.init}
    return {"type": name_of(type(value)), **own}


def _plain(owner: Any, name: str, value: Any) -> Any:
    """The value of a field as JSON holds it."""
    if isinstance(value, Written):
        return _described(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(owner, name, item) for item in value]
    finite = not isinstance(value, float) or math.isfinite(value)
    if value is None or (isinstance(value, bool | int | float | str) and finite):
        return value
    got = f"{name} = {value!r}"
    raise checks.error(_what(owner), got, _FOREIGN, "inherit from icl_theory.tasks.UnitLaw, or use numbers")


def _value(value: Any) -> Any:
    """The value of a field from what JSON holds; lists come back as tuples, as a frozen class has them."""
    if isinstance(value, dict):
        return built(Written, value)
    return tuple(_value(item) for item in value) if isinstance(value, list) else value


def _built(cls: type[W], described: Mapping[str, Any]) -> W:
    return cls(**{name: _value(value) for name, value in described.items() if name != "type"})


def built(kind: type[W], described: Any) -> W:
    """The object that `Written.to_dict` wrote down, a `kind`. Raises: ValueError for anything else."""
    name = described.get("type") if isinstance(described, Mapping) else None
    if not isinstance(name, str):
        raise checks.error("task or law", f"{described!r:.60}", "an object with a type", "pass what to_dict made")
    cls = _CLASSES.get(name)
    if cls is None or not issubclass(cls, kind):
        known = ", ".join(sorted(n for n, c in _CLASSES.items() if issubclass(c, kind) and not isabstract(c)))
        hint = "import the module that defines it first" if "." in name else "pass what to_dict made"
        raise checks.error("type", repr(name), f"a class that has been imported ({known})", hint)
    try:
        return _built(cls, described)
    except TypeError as error:
        raise checks.error(name, str(error), "the fields that to_dict wrote", "write it again") from None


def task_or_reason(task: "Task") -> dict[str, Any]:
    """`task.to_dict()`, or the reason why there is none: a run goes on, and `task_from_dict` passes the reason on."""
    try:
        return task.to_dict()
    except checks.InvalidInputError as error:
        return {"unwritten": str(error).rstrip(".")}


def task_from_dict(described: Any) -> "Task":
    """The task that `task.to_dict()` wrote down: equal keys give equal prompts, bit by bit.

    Args:
        described: a dictionary, for instance read from JSON. A task of another package is found by its name if its
            module has been imported; a module that a file names is never imported.

    Returns: the task.
    Raises: ValueError for an unknown type, or fields that are missing, malformed or too many.

    Example:
        >>> from icl_theory.tasks import LinearRegression, StudentT, task_from_dict
        >>> task = LinearRegression(2, noise_std=0.5, inputs=StudentT(5))
        >>> task_from_dict(task.to_dict()).inputs
        StudentT(dof=5.0)
    """
    from icl_theory.tasks import base, classification, relu_teacher, sparse_regression, vector_regression

    del classification, relu_teacher, sparse_regression, vector_regression  # imported so that their classes are known
    if isinstance(described, Mapping) and "unwritten" in described:
        got, hint = f"no task, since {described['unwritten']}", "use the task itself"
        raise checks.error("task", got, "a task that could be written down", hint)
    return built(base.Task, described)
