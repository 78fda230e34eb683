"""Claims that are not of this package, wherever they come from: what holds them, and the rules they are held to."""

import importlib.util
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from icl_theory.claims.engine.exceptions import describe_error_with_line
from icl_theory.claims.order import LABELS
from icl_theory.core import checks

if TYPE_CHECKING:
    from icl_theory.claims.engine.claim import Claim

Complaint = Callable[[str, str], ValueError]
"""Words an error from what was got and what was expected; it knows where the claims come from."""


@dataclass(frozen=True)
class OutsideClaim:
    """A claim and where it comes from."""

    claim: "Claim"
    package: str
    """Name and version of the distribution, or the name of the file."""


def claims_of(value: Any) -> list[Any]:
    """What an entry point or a file stands for, as a list: a claim, several, a function that makes them, or a module.

    Of a module those in CLAIMS or CLAIM count, or else every claim at its top level.
    """
    if isinstance(value, ModuleType):
        value = _held_by(value)
    elif callable(value):
        value = value()
    return list(value) if isinstance(value, list | tuple) else [value]


def _held_by(module: ModuleType) -> Any:
    for name in ("CLAIMS", "CLAIM"):
        if hasattr(module, name):
            return getattr(module, name)
    from icl_theory.claims.engine.claim import Claim

    found = [value for value in vars(module).values() if isinstance(value, Claim)]
    if not found:
        raise AttributeError("it holds no CLAIMS, no CLAIM, and no Claim under another name")
    return found


def require_sound(claim: Any, complain: Complaint) -> None:
    """Raises: ValueError unless it is a claim with a label and two negative controls."""
    from icl_theory.claims.engine.claim import Claim, Verdict

    if not isinstance(claim, Claim):
        raise complain(f"a {type(claim).__name__}", "a Claim or a list of them")
    if not claim.label:
        raise complain("a claim without a label", "a label such as my_claim")
    negative = sum(control.expected == Verdict.FAILS for control in claim.controls)
    if negative < 2:
        raise complain(f"{claim.label!r} with {negative} controls that must fail", "at least two negative controls")


def require_new(claim: "Claim", taken: Iterable[str], complain: Complaint) -> None:
    """Raises: ValueError for the label of a claim of this package, or one of those already taken."""
    if claim.label in LABELS:
        raise complain(f"a second claim {claim.label!r}", "a label that icl_theory does not use")
    if claim.label in taken:
        raise complain(f"two claims {claim.label!r}", "a label for each")


def claims_from_file(path: str | Path) -> list[OutsideClaim]:
    """The claims of a Python file, which is run: those in CLAIMS or CLAIM, or else all at its top level.

    A single claim without a label gets the name of the file. The file becomes a module of that name, so that classes
    of tasks that it defines are found again by `recheck --from`.

    Raises: ValueError for a file that is missing, cannot be run, or holds no claim that keeps the rules.
    """
    path = Path(path)

    def complain(got: str, expected: str) -> ValueError:
        return checks.error(f"claims of {path.name}", got, expected, "see docs/own-theorem.md")

    if not path.is_file():
        raise complain(f"{str(path)!r}: no such file", "a Python file with claims")
    try:
        claims = claims_of(_module(path, complain))
    except checks.InvalidInputError:
        raise
    except Exception as error:  # whatever a foreign file does wrong must be reported, not raised
        raise complain(describe_error_with_line(error), "a file that can be run and holds claims") from error
    if len(claims) == 1 and not getattr(claims[0], "label", "x") and re.fullmatch("[a-z_][a-z0-9_]*", path.stem):
        claims = [replace(claims[0], label=path.stem)]
    taken: list[str] = []
    for claim in claims:
        require_sound(claim, complain)
        require_new(claim, taken, complain)
        taken.append(claim.label)
    return [OutsideClaim(claim, path.name) for claim in claims]


def _module(path: Path, complain: Complaint) -> ModuleType:
    """The file as a module of its own name; what lies beside it can be imported by it, now and later."""
    name, file = path.stem, path.resolve()
    known = sys.modules.get(name)
    if known is not None:
        if Path(getattr(known, "__file__", None) or "/").resolve() == file:
            return known
        raise complain(f"the name {name!r}, which another module has", "a name of its own; rename the file")
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise complain(f"{path.name!r}", "a file that ends in .py")
    sys.path.append(str(file.parent))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
