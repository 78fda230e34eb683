"""The model in a file that a command names with --model, and what the file decides of the options.

Importing this file is quick.
"""

import os
from dataclasses import fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from icl_theory.models.layouts import Layout

if TYPE_CHECKING:
    from icl_theory.models.foreign import Conversion
    from icl_theory.models.model import Model

C = TypeVar("C", bound=Any)


def layout_of(config: Layout) -> Layout:
    """How a file is to be read."""
    return Layout(**{field.name: getattr(config, field.name) for field in fields(Layout)})


def read(config: Any) -> "Conversion":
    """The model of the file that the configuration names, and how it was read. Raises: ValueError."""
    # A command asks several times: for the sizes, for what to say, for the weights.
    return _read(config.model, os.stat(Path(config.model).expanduser()).st_mtime_ns, layout_of(config))


@lru_cache(maxsize=2)
def _read(path: str, _changed: int, layout: Layout) -> "Conversion":
    from icl_theory.models.files import read_model

    return read_model(path, layout)


def require_path(config: Any, expected: str) -> None:
    """Raises: ValueError for a path where nothing is."""
    from icl_theory.core import checks

    if not Path(config.model).expanduser().exists():
        raise checks.error("model", repr(config.model), expected, "check the word or the path")


def require_no_layout(config: Layout, without: str) -> None:
    """Raises: ValueError for an option on reading a file, in a run `without` one."""
    from icl_theory.core import checks

    usual = Layout()
    for field in fields(Layout):
        value = getattr(config, field.name)
        if value != getattr(usual, field.name):
            hint = "name it with --model, or drop the option"
            raise checks.error(field.name, f"{value} {without}", "a file of weights", hint)


def with_sizes_of(config: C, model: "Model", names: tuple[str, ...]) -> C:
    """The configuration with the sizes of a model. Raises: ValueError for sizes that are stated and are not its own.

    `names`: dim, layers, heads, hidden, or some of them.
    """
    from icl_theory.core import checks

    labels = config.outputs if config.task in ("vector", "one-hot") else 1
    found = {
        "dim": model.token_dim - labels,
        "layers": model.layers,
        "heads": model.heads or 1,
        "hidden": 0 if model.mlp_in is None else model.mlp_in.shape[-2],
    }
    usual = {field.name: field.default for field in fields(config)}
    for name in names:
        stated = getattr(config, name)
        if stated not in (found[name], usual[name]):
            raise checks.error(name, f"{stated}, and a file with {name} {found[name]}", "the file's", "drop the option")
    return replace(config, **{name: found[name] for name in names})
