"""A counterexample verified from its file alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.check import Evidence, check
from icl_theory.claims.engine.claim import Claim
from icl_theory.claims.engine.counterexample import FORMAT
from icl_theory.claims.engine.exceptions import describe_error
from icl_theory.claims.engine.seed_interval import SeedInterval, interval_over_seeds
from icl_theory.claims.registry import load
from icl_theory.core import checks


@dataclass(frozen=True)
class Recheck:
    """What became of a counterexample."""

    claim: str
    """Label."""
    confirmed: bool
    """The rebuilt case breaks the relation of the claim, and so does the small exact one if the file holds it."""
    evidence: Evidence
    """The check on the rebuilt case."""
    exact: bool | None
    """Whether the exact counterexample breaks the statement; None if there is none."""
    over_seeds: SeedInterval | None = None
    """The interval over the rebuilt seeds, for a statement over seeds."""
    example: bool = False
    """Whether the statement says that there is such a case, so that it is an example of it."""

    def __str__(self) -> str:
        e = self.evidence
        said = "confirmed, an example of the statement" if self.example else "confirmed, the statement fails here"
        lines = [
            f"{self.claim}: {said if self.confirmed else 'NOT confirmed'}",
            f"  {e.case}: {e.verdict.value}, measured {e.measured:.6g} against {e.predicted:.6g}"
            + (f" (± {e.stderr:.2g})" if e.stderr else ""),
        ]
        if (p := self.over_seeds) is not None:
            lines.append(
                f"  {p.seeds} seeds rebuilt: {p.seeds_for} for, {p.seeds_against} against, mean margin {p.mean:.6g}, "
                f"from {p.low:.6g} to {p.high:.6g}"
            )
        if self.exact is not None:
            words = ("is", "is NOT") if self.example else ("breaks", "keeps")
            what = "one" if self.example else "the statement"
            kind = "example" if self.example else "counterexample"
            lines.append(f"  small {kind} in exact arithmetic: {words[0] if self.exact else words[1]} {what}")
        return "\n".join(lines)


def recheck(document: Any, claims: Iterable[Claim] = ()) -> Recheck:
    """Verify a counterexample from its document alone: nothing recorded is believed but weights, data and seed.

    Args:
        document: what `counterexample` made, read back from a file.
        claims: claims of yours that it may be about; others are found by their label.
    Returns: `Recheck`.
    Raises: ValueError for a document that is not one, or names an unknown claim.
    """
    _require_document(document)
    given = {claim.label: claim for claim in claims}
    claim = given.get(document["claim"]) or load(document["claim"])
    evidence = _checked(claim, document["case"])
    over_seeds = None
    if claim.over_seeds:
        others = [_checked(claim, other) for other in document.get("others", [])]
        over_seeds = interval_over_seeds(claim, [evidence, *others])
    exact = None if document["exact"] is None else _breaks(claim, document["exact"])
    verdict = over_seeds.verdict if over_seeds is not None else evidence.verdict
    broken = verdict == claim.of_a_counterexample and (over_seeds is not None or not claim.over_seeds)
    return Recheck(claim.label, broken and exact is not False, evidence, exact, over_seeds, claim.refutes)


DEFECTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a document with a defect makes a computation raise."""


def _require_document(document: Any) -> None:
    """Reject what `counterexample` cannot have made, by format and by the types of the fields that are read."""
    known = isinstance(document, dict) and document.get("format") == FORMAT
    if not known or not {"claim", "case", "exact"} <= document.keys():
        raise checks.error(
            "counterexample",
            "a document of another kind",
            f"format {FORMAT} with claim, case and exact",
            "pass a file from the counterexamples folder of a run",
        )
    kinds = {"claim": str, "case": dict, "exact": dict | None, "others": list}
    for name, kind in kinds.items():
        value = document.get(name, [])
        if not isinstance(value, kind):
            words = {str: "a label", dict: "an object", list: "a list of cases"}.get(kind, "an object or null")
            raise checks.error(name, f"{type(value).__name__}", words, "pass the file as it was written")


def _checked(claim: Claim, description: Any) -> Evidence:
    """The check on the case of a file. Raises: ValueError for a description that cannot be built or measured."""
    if not isinstance(description, dict):
        raise checks.error("case", type(description).__name__, "an object", "pass the file as it was written")
    for name, low in (("seed", 0), ("shots", 1), ("samples", 1)):
        if name in description:
            checks.integer(f"{name} of the case", description[name], low, None, "pass the file as it was written")
    for name, shape in (("task_vector", (None,)), ("demonstrations", (None, None))):
        if name in description:
            checks.array(f"{name} of the case", description[name], shape, "pass the file as it was written")
    case = Case.from_dict(description)
    try:
        return check(claim, case)
    except DEFECTS as error:  # shapes that do not belong together, most likely
        got = f"{describe_error(error)} from the check of {claim.label!r}"
        raise checks.error("case", got, "a case of this claim", "pass the file as it was written") from error


def _breaks(claim: Claim, exact: dict[str, Any]) -> bool:
    """Whether the small counterexample breaks the statement, in exact arithmetic. Raises: ValueError for a defect."""
    if claim.verify_exact is None:
        raise checks.error("exact", "a counterexample", "none, since the claim cannot check it", "remove it")
    try:
        return claim.verify_exact(exact)
    except DEFECTS as error:
        raise checks.error("exact", f"a defect at {error}", "whole numbers as written", "write it again") from None
