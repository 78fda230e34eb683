"""Demonstrations and queries of a batch of tasks."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from icl_theory.core.field_docs import fields_in_help


@fields_in_help
@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Prompt:
    """Demonstrations and a query of a batch of tasks.

    Example:
        >>> from icl_theory import LinearRegression
        >>> prompt = LinearRegression(3).sample(key=0, batch=2, shots=5)
        >>> prompt.x.shape, prompt.y.shape, prompt.tokens().shape
        ((2, 5, 3), (2, 5), (2, 5, 4))
    """

    x: Any
    """Inputs of the demonstrations, shape (batch, shots, d_x)."""
    y: Any
    """Labels of the demonstrations, shape (batch, shots), or (batch, shots, d_y) if they are vectors."""
    x_query: Any
    """Query inputs, shape (batch, d_x)."""
    y_query: Any
    """Query labels without noise, shape (batch,), or (batch, d_y)."""

    def tokens(self) -> np.ndarray:
        """The demonstrations as tokens h = [x; y], shape (batch, shots, d_x + d_y)."""
        return stacked_tokens(self.x, np.asarray(self.y))


def stacked_tokens(x: Any, y: np.ndarray) -> np.ndarray:
    """[x; y] for inputs (batch, n, d_x) and labels (batch, n) or (batch, n, d_y)."""
    return np.concatenate([x, y[..., None] if y.ndim == 2 else y], axis=-1)
