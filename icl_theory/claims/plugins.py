"""Claims of other packages, found through the entry point group `icl_theory.claims`.

An entry point names a `Claim`, a list of them, a function without arguments that returns either, or a module that holds
them as `CLAIMS` or `CLAIM`. Such claims are held to the rules of our own: a label of its own, and at least two negative
controls. A package that breaks a rule, or cannot be imported, is an error with its name: it never just goes missing. To
work without it, name the claims to check, or uninstall it.
"""

import functools
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any

from icl_theory.claims.engine.exceptions import describe_error
from icl_theory.claims.order import LABELS
from icl_theory.core import checks

if TYPE_CHECKING:
    from icl_theory.claims.engine.claim import Claim

GROUP = "icl_theory.claims"


@dataclass(frozen=True)
class OutsideClaim:
    """A claim and where it comes from."""

    claim: "Claim"
    package: str
    """Name and version of the distribution."""


@functools.lru_cache(maxsize=1)
def claims() -> dict[str, OutsideClaim]:
    """label → claim of every installed package, by package and in the order in which each lists them.

    Raises: ValueError naming the package and what is wrong with it.
    """
    found: dict[str, OutsideClaim] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (_package(point), point.name)):
        package = _package(point)
        for claim in _claims_of(point, package):
            _require_sound(claim, package)
            other = "icl_theory" if claim.label in LABELS else getattr(found.get(claim.label), "package", None)
            if other is not None:
                raise _error(package, f"a second claim {claim.label!r}", f"a label that {other} does not use")
            found[claim.label] = OutsideClaim(claim, package)
    return found


def _package(point: EntryPoint) -> str:
    return "an unnamed distribution" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _error(package: str, got: str, expected: str) -> ValueError:
    hint = "repair or uninstall that package, or name the claims to check with --claims"
    return checks.error(f"claims of the installed package {package}", got, expected, hint)


def _claims_of(point: EntryPoint, package: str) -> list[Any]:
    """What the entry point stands for, as a list."""
    expected = f"an entry point {point.name!r} that can be loaded"
    try:
        value = point.load()
        if isinstance(value, ModuleType):
            value = value.CLAIMS if hasattr(value, "CLAIMS") else value.CLAIM
        elif callable(value):
            value = value()
    except Exception as error:  # whatever a foreign module does wrong must be reported, not raised
        raise _error(package, f"{describe_error(error)} from {point.value!r}", expected) from error
    return list(value) if isinstance(value, list | tuple) else [value]


def _require_sound(claim: Any, package: str) -> None:
    """Raises: ValueError unless it is a claim with a label and two negative controls."""
    from icl_theory.claims.engine.claim import Claim, Verdict

    if not isinstance(claim, Claim):
        raise _error(package, f"a {type(claim).__name__}", "a Claim or a list of them")
    if not claim.label:
        raise _error(package, "a claim without a label", "a label such as my_claim")
    negative = sum(control.expected == Verdict.FAILS for control in claim.controls)
    if negative < 2:
        got = f"{claim.label!r} with {negative} controls that must fail"
        raise _error(package, got, "at least two negative controls")
