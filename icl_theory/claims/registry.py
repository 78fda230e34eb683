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
from typing import TYPE_CHECKING, Any

from icl_theory.claims.order import LABELS
from icl_theory.core import checks

if TYPE_CHECKING:
    from icl_theory.claims.engine.claim import Claim
    from icl_theory.claims.outside import OutsideClaim


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


def require_known(labels: Iterable[str], more: Iterable[str] = ()) -> None:
    """Raises: ValueError for an unknown label, naming the closest one.

    Claims of other packages are searched only if a label is neither one of our own nor among `more`.
    """
    more = tuple(more)
    for label in labels:
        if label in LABELS or label in more or label in (known := (*all_labels(), *more)):
            continue
        near = difflib.get_close_matches(label.lower(), known, 1, 0.3)
        hint = f"did you mean {near[0]!r}" if near else "run `icl-theory explain` for the list"
        if "," in label:
            hint = "separate labels by blanks, not by commas"
        raise checks.error("claims", repr(label), "the label of a claim", hint)


def load(label: str) -> "Claim":
    """The claim of that name. Raises: ValueError for an unknown label, naming the closest one."""
    require_known([label])
    if label in LABELS:
        found = importlib.import_module(f"icl_theory.claims.{subject_of(label)}.{label}").CLAIM
        return dataclasses.replace(found, label=label)  # the name of the file is the label
    from icl_theory.claims import plugins

    return plugins.claims()[label].claim


def load_all(claims: "Iterable[str | Claim | OutsideClaim] | str | Claim | None" = None) -> list["Claim"]:
    """The claims named, or all of them: ours section by section, then those of installed packages, then those given.

    Args:
        claims: labels, and claims themselves, which are held to the rules of an installed package; one label or one
            claim is a list of one. All if None.
    """
    return [claim for claim, _ in chosen(claims)]


def chosen(claims: "Iterable[str | Claim | OutsideClaim] | str | Claim | None" = None) -> list[tuple["Claim", Any]]:
    """As `load_all`, each claim with the package or the file that it comes from; None for one of our own."""
    from icl_theory.claims.engine.claim import Claim

    named = [claims] if isinstance(claims, str | Claim) else [*all_labels()] if claims is None else [*claims]
    if not named:
        raise checks.error("claims", "an empty list", "at least one claim", "leave it out to check all")
    labels = {item for item in named if isinstance(item, str)}
    require_known(labels)
    known = [*LABELS, *(() if labels <= {*LABELS} else all_labels()[len(LABELS) :])]
    found = [(load(label), package_of(label)) for label in known if label in labels]
    for item in named:
        if not isinstance(item, str):
            found.append(_given(item, [claim.label for claim, _ in found]))
    return found


def _given(item: Any, taken: list[str]) -> tuple["Claim", str | None]:
    """A claim that was passed, not named. Raises: ValueError for one that breaks a rule."""
    from icl_theory.claims.outside import OutsideClaim, require_new, require_sound

    claim, package = (item.claim, item.package) if isinstance(item, OutsideClaim) else (item, "passed to verify")

    def complain(got: str, expected: str) -> ValueError:
        return checks.error("claims", got, expected, "see docs/own-theorem.md")

    require_sound(claim, complain)
    if claim.label in LABELS and claim == load(claim.label):
        return claim, None
    require_new(claim, taken, complain)
    return claim, package
