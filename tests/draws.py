"""Every number that numpy's generators hand out, kept in the order of the draws.

A loop whose blocks must draw fresh numbers leaves a trace if one of them does not: a generator that is made again, from
the same seed or from another one, gives numbers that were there before. Labels, shapes and means do not show that.
"""

from typing import Any

import numpy as np
import pytest

LAWS = ("standard_normal", "normal", "random", "uniform", "chisquare", "standard_gamma", "exponential", "laplace")
WINDOW = 3
"""Draws in a row that must not come again: single float32 numbers do, by chance."""


class Recorder:
    """Stands in for `numpy.random.default_rng`; the numbers are the same."""

    def __init__(self) -> None:
        self.draws: list[np.ndarray] = []

    def generator(self, seed: Any = None) -> np.random.Generator:
        """What `default_rng` gives, under watch; only laws with a density are recorded."""
        if isinstance(seed, np.random.Generator):
            return seed
        draws = self.draws

        class Watched(np.random.Generator):
            def __getattribute__(self, name: str) -> Any:
                method = super().__getattribute__(name)
                if name not in LAWS:
                    return method

                def recorded(*args: Any, **options: Any) -> Any:
                    drawn = method(*args, **options)
                    draws.append(np.array(drawn, dtype=np.float64).ravel())
                    return drawn

                return recorded

        return Watched(np.random.PCG64(seed))

    @property
    def numbers(self) -> np.ndarray:
        """All of them, one after the other."""
        return np.concatenate([np.zeros(0), *self.draws])

    @property
    def runs(self) -> set[bytes]:
        """Every `WINDOW` numbers in a row."""
        return set(map(np.ndarray.tobytes, np.lib.stride_tricks.sliding_window_view(self.numbers, WINDOW)))

    @property
    def repeated(self) -> int:
        """How many runs of numbers have come before."""
        return len(self.numbers) - WINDOW + 1 - len(self.runs)


def record(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """Watch every generator made from now on."""
    recorder = Recorder()
    monkeypatch.setattr(np.random, "default_rng", recorder.generator)
    return recorder


def assert_rows_differ(rows: Any) -> None:
    """No two rows of a stack are equal in any of their entries: drawn apart, they share no number."""
    rows = np.asarray(rows)
    for column in rows.reshape(len(rows), -1).T:
        assert len(np.unique(column)) == len(rows)


def assert_uncorrelated(first: Any, second: Any, z: float = 6.0) -> None:
    """Pairs of numbers with mean 0 have correlation 0 within z standard errors, and are not all alike."""
    first, second = np.ravel(first), np.ravel(second)
    product = first * second
    scale = np.sqrt((first**2).mean() * (second**2).mean())
    error = product.std(ddof=1) / np.sqrt(len(product))
    assert abs(product.mean()) <= z * error
    assert z * error < 0.5 * scale  # or equal numbers would pass
