"""A closed form belongs to the class that wrote it: overriding what it rests on takes it away until it is restated.

`rests_on` says, at the closed form itself, which steps of the sampling it describes. A subclass that overrides one of
them without stating the closed form again gets instead one that raises an error with the reason. So every reader of it
either samples whole prompts instead (`known` says which) or passes the error on; none takes the formula of another law.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, ParamSpec, TypeVar

from icl_theory.core import checks

P = ParamSpec("P")
R = TypeVar("R")

INPUTS = ("sample_inputs", "input_root")
FUNCTIONS = ("sample_tasks", "task_root")
LABELS = ("labels", "sample_prompts")  # clean labels, and the query whose label is clean
TOKENS = ("corrupted", "sample_tokens")
STEPS = (*INPUTS, *FUNCTIONS, *LABELS, *TOKENS, "label_projection")
"""Every step of the sampling, and what models read labels through; `Task.sample` only turns a key into a generator."""


def rests_on(*steps: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Marks a closed form, below `property` if it is one, with the methods that it takes to be as they are."""

    def mark(function: Callable[P, R]) -> Callable[P, R]:
        function.__dict__["rests_on"] = steps
        return function

    return mark


def known(form: Callable[P, R], *args: P.args, **options: P.kwargs) -> R | None:
    """What a closed form says, or None where it raises an error; its arguments have been checked before."""
    try:
        return form(*args, **options)
    except checks.InvalidInputError:
        return None


def withdraw(cls: type) -> None:
    """Replace every closed form of `cls` of which an override has changed the ground since it was stated."""
    for name in {name for base in cls.__mro__ for name, value in vars(base).items() if _steps(value) is not None}:
        owner = _owner(cls, name)
        form = vars(cls.__mro__[owner])[name]
        steps = STEPS if _steps(form) is None else _steps(form)
        overridden = [step for step in steps or () if _owner(cls, step) < owner]
        if overridden:
            setattr(cls, name, _withdrawn(cls, name, overridden[0], cls.__mro__[owner], form))


def _steps(value: Any) -> tuple[str, ...] | None:
    """The steps that a closed form was marked with; None for anything that is not marked."""
    function = getattr(value, "fget", None) or getattr(value, "func", None) or value
    return getattr(function, "__dict__", {}).get("rests_on")


def _owner(cls: type, name: str) -> int:
    """Place in the method resolution order of the class whose definition counts; behind all if there is none."""
    order = cls.__mro__
    return next((i for i, base in enumerate(order) if name in vars(base)), len(order))


def _withdrawn(cls: type, name: str, step: str, owner: type, form: Any) -> Any:
    """Instead of a method or property: an error with the reason."""

    def withdrawn(*args: Any, **_: Any) -> Any:
        what = f"task for {args[1]}" if name.startswith("require_") and len(args) > 1 else f"{name} of the task"
        got = f"a {cls.__name__}, which overrides {step}, on which {name} of {owner.__name__} rests"
        hint = f"restate it ({name} = {owner.__name__}.{name} if it still holds), or sample whole prompts"
        raise checks.error(what, got, f"{name} stated together with {step}", hint)

    withdrawn.__dict__["rests_on"] = ()  # permanent: only stating the form again replaces it
    return property(withdrawn) if isinstance(form, property | cached_property) else withdrawn
