"""Claims of other packages, found through the entry point group `icl_theory.claims`.

An entry point names a `Claim`, a list of them, a function without arguments that returns either, or a module that holds
them as `CLAIMS` or `CLAIM`. Such claims are held to the rules of our own: a label of its own, and at least two negative
controls. A package that breaks a rule, or cannot be imported, is an error with its name: it never just goes missing. To
work without it, name the claims to check, or uninstall it.
"""

import functools
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from icl_theory.claims.engine.exceptions import describe_error
from icl_theory.claims.order import LABELS
from icl_theory.claims.outside import OutsideClaim, claims_of, require_sound
from icl_theory.core import checks

GROUP = "icl_theory.claims"


@functools.lru_cache(maxsize=1)
def claims() -> dict[str, OutsideClaim]:
    """label → claim of every installed package, by package and in the order in which each lists them.

    Raises: ValueError naming the package and what is wrong with it.
    """
    found: dict[str, OutsideClaim] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (_package(point), point.name)):
        package = _package(point)
        for claim in _claims_of(point, package):
            require_sound(claim, functools.partial(_error, package))
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
        return claims_of(point.load())
    except Exception as error:  # whatever a foreign module does wrong must be reported, not raised
        raise _error(package, f"{describe_error(error)} from {point.value!r}", expected) from error
