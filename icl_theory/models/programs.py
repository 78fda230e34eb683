"""Compiled programs that take a model: one of them for all truncations of a model."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

from icl_theory.models.model import Model

R = TypeVar("R")


def plain(model: Model) -> Model:
    """The model without what it knows of its numbers, ranks and precision, which is part of its type for jax."""
    return model.replace(ranks=(), precision=None)


def program(function: Callable[..., R], **options: Any) -> Callable[..., R]:
    """`jax.jit` of a function of a model and arrays, which are compiled once for all ranks of a truncation.

    Args:
        function: its first argument is a `Model`.
        options: of `jax.jit`.
    """
    compiled = jax.jit(function, **options)

    @functools.wraps(function)
    def wrapped(model: Model, *arguments: Any, **named: Any) -> R:
        return compiled(plain(model), *arguments, **named)

    return wrapped
