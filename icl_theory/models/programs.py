"""Compiled programs that take a model: one of them for all truncations of a model, and for both readouts."""

import functools
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import jax
import numpy as np

from icl_theory.models.model import Model

R = TypeVar("R")


def program(
    function: Callable[..., R], *, readout: Literal["sign", "unread", "read"] = "read", **options: Any
) -> Callable[..., R]:
    """`jax.jit` of a function of a model and arrays, which are compiled once for all ranks of a truncation.

    What a model knows of its numbers, ranks and precision, would be part of its type for jax.

    Args:
        function: its first argument is a `Model`.
        readout: what the readout of the model is for the function: the "sign" of a single array that it returns,
            "unread", or "read" in some other way; in the first two cases one program serves both.
        options: of `jax.jit`.
    """
    compiled = jax.jit(function, **options)

    @functools.wraps(function)
    def wrapped(model: Model, *arguments: Any, **named: Any) -> Any:
        own = model.replace(ranks=(), precision=None, readout=model.readout if readout == "read" else "plus")
        result: Any = compiled(own, *arguments, **named)
        return -np.asarray(result) if readout == "sign" and model.readout == "minus" else result

    return wrapped
