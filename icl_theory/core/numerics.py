"""float64 for the theory without touching jax's global settings, and random generators from jax keys."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from icl_theory.core import checks

P = ParamSpec("P")
R = TypeVar("R")

Key = jax.Array | int
"""What fixes everything random: a jax.random.key, or a whole number of at least 0."""
EPS = float(np.finfo(np.float64).eps)


def float64(function: Callable[P, R]) -> Callable[P, R]:
    """Run the whole body of `function` in double precision and hand numpy arrays out.

    Arrays that left an x64 block as jax arrays would fall back to float32 at their next use, hence numpy.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, function(*args, **kwargs))

    return wrapped


def under_jax(pure: Callable[..., Any]) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Inside jit, vmap, grad and the like call `pure` instead, with the same arguments.

    There are no numbers to check then and no numpy arrays to hand out; the precision is that of what is given.
    """

    def decorated(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
            if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((args, kwargs))):
                return pure(*args, **kwargs)
            return function(*args, **kwargs)

        return wrapped

    return decorated


def float32(function: Callable[P, R]) -> Callable[P, R]:
    """Run the whole body of `function` in single precision with jax's usual promotion, whatever the caller has set."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return function(*args, **kwargs)

    return wrapped


def whole_float32(function: Callable[P, R]) -> Callable[P, R]:
    """Products of float32 matrices keep all digits in `function`, also of what jax traces of it.

    An accelerator rounds the factors to ten or fewer bits unless it is told otherwise, which shows as errors of 1e-3.
    """

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        with jax.default_matmul_precision("float32"):
            return function(*args, **kwargs)

    return wrapped


def generator(key: Key) -> np.random.Generator:
    """A numpy generator seeded by a jax key (or by a whole number of at least 0)."""
    if isinstance(key, int | np.integer) and not isinstance(key, bool) and key >= 0:
        return np.random.default_rng(int(key))
    kind = getattr(key, "dtype", None)
    if isinstance(key, jax.Array) and kind is not None:
        if jnp.issubdtype(kind, jax.dtypes.prng_key):
            return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        if kind == np.uint32:  # the older form of a key, an array of two words
            return np.random.default_rng(np.asarray(key).ravel())
    got = repr(key) if np.ndim(key) == 0 and not isinstance(key, jax.Array) else type(key).__name__
    expected = "a jax.random.key or a whole number of at least 0"
    raise checks.error("key", got, expected, "pass jax.random.key(0)")


def transpose(matrix: Any) -> Any:
    """The last two axes exchanged: works for numpy and jax arrays and for stacks of matrices."""
    return matrix.swapaxes(-1, -2)
