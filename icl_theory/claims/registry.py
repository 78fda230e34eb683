"""Every statement under test, one file each, in a folder for its subject; `order` lists them.

`LABELS` can be read without importing jax; `load` brings in one claim. Installed packages can add claims of their own,
see `icl_theory.claims.plugins`; they follow ours, and nothing of them is imported before they are needed.
"""

import dataclasses
import difflib
import functools
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from icl_theory.claims.order import LABELS
from icl_theory.core import checks

if TYPE_CHECKING:
    from icl_theory.claims.engine.claim import Claim


def all_labels() -> tuple[str, ...]:
    """Labels of this package's claims and of those that installed packages add, in this order.

    Raises: ValueError if an installed package's claims cannot be used.
    """
    from icl_theory.claims import plugins

    return (*LABELS, *plugins.claims())


def package_of(label: str) -> str | None:
    """Name and version of the installed package that adds the claim; None for one of our own."""
    if label in LABELS:
        return None
    from icl_theory.claims import plugins

    found = plugins.claims().get(label)
    return None if found is None else found.package


@functools.cache
def _subjects() -> dict[str, str]:
    """label → subject, by where the files lie; nothing is imported."""
    found = (path for path in Path(__file__).parent.glob("*/*.py") if path.stem in LABELS)
    return {path.stem: path.parent.name for path in found}


def subject_of(label: str) -> str:
    """The folder of one of our claims: "attention", "trajectory", "noise", ..."""
    return _subjects()[label]


def require_known(labels: Iterable[str]) -> None:
    """Raises: ValueError for an unknown label, naming the closest one.

    Claims of other packages are searched only if a label is not one of our own.
    """
    for label in labels:
        if label not in LABELS and label not in (known := all_labels()):
            near = difflib.get_close_matches(label, known, 1, 0.3)
            hint = f"did you mean {near[0]!r}" if near else "run `icl-theory explain` for the list"
            raise checks.error("claims", repr(label), "the label of a claim", hint)


def load(label: str) -> "Claim":
    """The claim of that name. Raises: ValueError for an unknown label, naming the closest one."""
    require_known([label])
    if label in LABELS:
        found = importlib.import_module(f"icl_theory.claims.{subject_of(label)}.{label}").CLAIM
        return dataclasses.replace(found, label=label)  # the name of the file is the label
    from icl_theory.claims import plugins

    return plugins.claims()[label].claim


def load_all(labels: Iterable[str] | None = None) -> list["Claim"]:
    """The claims named, or all of them: ours section by section, then those of installed packages."""
    chosen = all_labels() if labels is None else tuple(labels)
    if not chosen:
        raise checks.error("claims", "an empty list", "at least one claim", "leave it out to check all")
    claims = {label: load(label) for label in chosen}
    ours = [label for label in LABELS if label in claims]
    others = [] if len(ours) == len(claims) else [label for label in all_labels()[len(LABELS) :] if label in claims]
    return [claims[label] for label in (*ours, *others)]
