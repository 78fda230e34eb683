"""Records as plain, strict JSON documents."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from icl_theory.core import checks

NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
"""How a record spells what JSON has no number for; a bound of +inf is a result, so it must survive the file."""


def to_plain(value: Any) -> Any:
    """`value` as dictionaries, lists, strings, numbers, booleans and None that strict JSON can hold.

    Dataclasses (an `Estimate`, say) become dictionaries of their fields, enumerations their value, arrays nested
    lists, numpy scalars Python numbers, and a float that is not finite one of the strings "inf", "-inf", "nan".
    `number` reads these back.

    Raises: TypeError for anything else; nothing is turned into its `repr` silently.
    """
    if isinstance(value, Enum):
        return to_plain(value.value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _spelt(value)
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    to_list = getattr(value, "tolist", None)  # numpy and jax arrays and scalars
    if callable(to_list):
        return to_plain(to_list())
    raise TypeError(f"a record cannot hold a {type(value).__name__}")


def _spelt(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def from_plain(value: Any) -> float:
    """The float that `plain` wrote: a JSON number, or "inf", "-inf", "nan". Raises: ValueError otherwise."""
    if isinstance(value, str) and value in NON_FINITE:
        return NON_FINITE[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise checks.error("number", repr(value), 'a number, "inf", "-inf" or "nan"', "read it from a record")
    return float(value)


def to_json(document: Any) -> str:
    """`document` as strict JSON text, indented, keys in the order given, one newline at the end."""
    return json.dumps(to_plain(document), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
