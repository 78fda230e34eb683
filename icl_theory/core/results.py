"""How results show themselves: a short repr, a table in notebooks and a pandas frame."""

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from icl_theory.core.estimate import Estimate

_LONGEST = 60
"""Characters of a value in a repr."""


def frame_of(rows: list[dict[str, Any]]) -> Any:
    """Rows as a pandas DataFrame. Raises: ModuleNotFoundError with what to install where pandas is missing."""
    try:
        import pandas as pd
    except ModuleNotFoundError:
        message = "pandas is not installed; run `python -m pip install 'icl-theory[frames]'`, or use rows()"
        raise ModuleNotFoundError(message) from None
    return pd.DataFrame(rows)


class Result:
    """Base of results that are dataclasses. Declare them with `@dataclass(frozen=True, repr=False)`."""

    def rows(self) -> list[dict[str, Any]]:
        """One row per number: quantity, value, stderr, samples, direction, unit and note, as plain Python values."""
        return list(_rows(self, ""))

    def frame(self) -> Any:
        """`rows` as a pandas DataFrame. Raises: ModuleNotFoundError with what to install where pandas is missing."""
        return frame_of(self.rows())

    def __repr__(self) -> str:
        shown = ", ".join(f"{field.name}={_short(getattr(self, field.name))}" for field in _shown(self))
        return f"{type(self).__name__}({shown})"

    def _repr_html_(self) -> str:
        rows = self.rows()
        names = list(rows[0]) if rows else []
        head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(_cell(row[name]))}</td>" for name in names) + "</tr>" for row in rows
        )
        title = html.escape(type(self).__name__)
        return f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _shown(result: Any) -> list[Any]:
    return [field for field in fields(result) if field.repr]


def _rows(value: Any, name: str) -> Iterator[dict[str, Any]]:
    """The numbers in a value: estimates and plain numbers, those inside of mappings, sequences and results too."""
    if isinstance(value, Estimate):
        yield {"quantity": name} | {part.name: getattr(value, part.name) for part in fields(value)}
    elif isinstance(value, bool | int | float | np.number):
        yield {"quantity": name} | {part.name: getattr(Estimate(float(value), unit=""), part.name) for part in _PARTS}
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _rows(item, f"{name}.{key}" if name else str(key))
    elif is_dataclass(value) and not isinstance(value, type):
        for field in _shown(value):
            yield from _rows(getattr(value, field.name), f"{name}.{field.name}" if name else field.name)
    elif isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "biuf" and len(value) <= _LONGEST:
        yield from _rows(value.tolist(), name)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for index, item in enumerate(value):
            yield from _rows(item, f"{name}[{index}]")


_PARTS = fields(Estimate)


def _short(value: Any) -> str:
    """A value in a repr: numbers and estimates in full, arrays by dtype and shape, the rest by kind and size."""
    if isinstance(value, Estimate):
        return str(value).removeprefix("= ")
    if hasattr(value, "shape") and hasattr(value, "dtype") and np.ndim(value):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, Mapping):
        return f"{{{len(value)} entries}}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple) and value and not all(isinstance(v, int | float | str) for v in value):
        return f"[{len(value)} × {type(value[0]).__name__}]"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{type(value).__name__}(...)"


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
