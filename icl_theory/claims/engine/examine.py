"""What a run over all cases of a claim says: one verdict, its controls, a certificate where it fails."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.check import Evidence, check, margin
from icl_theory.claims.engine.claim import Claim, Verdict
from icl_theory.claims.engine.counterexample import counterexample
from icl_theory.claims.engine.exceptions import describe_error_with_line
from icl_theory.claims.engine.expected_verdicts import Flip, expected_verdict, flip
from icl_theory.claims.engine.seed_interval import SeedInterval, interval_over_seeds, verdict_over_seeds
from icl_theory.claims.engine.trained_ensembles import Cancelled, NotReady
from icl_theory.core import marks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result

NO_CASE = "making the cases"
"""Name of the case in the evidence that there are no cases because making them raised an exception."""


def overall_verdict(claim: Claim, evidence: Sequence[Evidence]) -> Verdict:
    """One verdict from all cases: a universal statement fails with one counterexample, `exists` holds with one.

    A statement over seeds is judged by one interval over its seeds instead.
    """
    seen = {item.verdict for item in evidence}
    if Verdict.ERROR in seen:
        return Verdict.ERROR
    if claim.over_seeds:
        return verdict_over_seeds(claim, evidence)
    if claim.relation == "exists" and Verdict.HOLDS in seen:
        return Verdict.HOLDS
    order = (Verdict.NONFINITE, Verdict.FAILS, Verdict.INCONCLUSIVE, Verdict.HOLDS, Verdict.VACUOUS)
    return next((verdict for verdict in order if verdict in seen), Verdict.OUTSIDE)


@fields_in_help
@dataclass(frozen=True, repr=False)
class ControlOutcome(Result):
    """What the check said of a control."""

    name: str
    verdict: Verdict
    expected: Verdict
    note: str = ""
    """The exception that the check raised, where the verdict is ERROR."""

    @property
    def caught(self) -> bool:
        """The check said what it had to say."""
        return self.verdict == self.expected


@fields_in_help
@dataclass(frozen=True, repr=False)
class Outcome(Result):
    """Everything the run found out about one claim."""

    claim: Claim
    verdict: Verdict
    evidence: list[Evidence]
    controls: list[ControlOutcome]
    proved: bool | None = None
    """Result of the symbolic derivation, None where there is none."""
    proof_note: str = ""
    """The exception that ended the derivation, if one did."""
    counterexamples: list[dict[str, Any]] = field(default_factory=list)
    over_seeds: SeedInterval | None = None
    """The interval over seeds behind the verdict of a statement over seeds."""
    seconds: float = math.nan

    @property
    def informative(self) -> bool | None:
        """Whether any case beat the trivial bound; None where there is no trivial bound."""
        known = [item.informative for item in self.evidence if item.informative is not None]
        return any(known) if known else None

    @property
    def expected(self) -> str | None:
        """The verdict that is known for a claim of this package, None for any other."""
        return expected_verdict(self.claim.label)

    @property
    def flip(self) -> Flip | None:
        """What it means that the verdict is not the expected one; None where it is."""
        return flip(self.claim.label, self.claim.origin, self.verdict)

    @property
    def sound(self) -> bool:
        """Conclusive and finite, no regression, every control caught, and the derivation (if any) came out true."""
        settled = self.verdict not in (Verdict.INCONCLUSIVE, Verdict.NONFINITE, Verdict.ERROR)
        caught = all(control.caught for control in self.controls)
        return settled and caught and self.proved is not False and self.flip != "regression"


class Derivation(NamedTuple):
    """What became of the symbolic derivation of a claim."""

    proved: bool | None
    """Whether it came out true; None for a claim without one."""
    note: str = ""
    """The exception that ended it: it has then derived nothing, and `proved` is False."""


def run_proof(claim: Claim) -> Derivation:
    """Run the symbolic derivation of a claim. It needs no case."""
    if claim.proof is None:
        return Derivation(None)
    found, note = _attempt(claim.proof)
    return Derivation(bool(found), note)


def examine(claim: Claim, factory: CaseFactory, *, z: float = 6.0, derivation: Derivation | None = None) -> Outcome:
    """Check a claim and its controls on all their cases, and keep a certificate if the claim fails.

    An exception while cases are made or checked gives the verdict ERROR with its message and place; it is not raised.

    Args:
        claim: what to check.
        factory: makes the cases.
        z: standard errors that decide.
        derivation: what `run_proof` returned; if None, the proof is run here.

    Returns: `Outcome`: verdict, evidence of every case, controls, and a counterexample if the claim fails.
    Raises: ValueError for z ≤ 0.

    Example:
        >>> from icl_theory.claims import CaseFactory, examine
        >>> from icl_theory.claims.registry import load
        >>> outcome = examine(load("lemma_3"), CaseFactory("quick", seed=0))
        >>> outcome.verdict.value, all(control.caught for control in outcome.controls)
        ('HOLDS', True)
    """
    cases, evidence = _evidence(claim, factory, z)
    controls = []
    for control in claim.controls:
        controlled = control.applied(claim)
        found = _evidence(controlled, factory, z)[1]
        note = next((item.note for item in found if item.verdict == Verdict.ERROR), "")
        controls.append(ControlOutcome(control.name, overall_verdict(controlled, found), control.expected, note))
    proved, note = run_proof(claim) if derivation is None else derivation
    verdict, counterexamples, over_seeds = overall_verdict(claim, evidence), [], None
    if verdict != Verdict.ERROR:
        counterexamples, over_seeds = _counterexamples(claim, cases, evidence), interval_over_seeds(claim, evidence)
    return Outcome(claim, verdict, evidence, controls, proved, note, counterexamples, over_seeds)


def _evidence(claim: Claim, factory: CaseFactory, z: float) -> tuple[Sequence[Case], list[Evidence]]:
    """The cases of a claim and the evidence of each; what raises an exception is evidence too, of an ERROR."""

    def error(name: str, seed: int, note: str) -> Evidence:
        return Evidence(Verdict.ERROR, name, seed, math.nan, math.nan, math.nan, note=note)

    cases, note = _attempt(lambda: claim.cases(factory))
    if cases is None or not cases:
        return [], [error(NO_CASE, factory.seed, note or "the claim has no cases: nothing was examined")]
    tried = [(case, *_attempt(lambda case=case: check(claim, case, z=z))) for case in cases]
    return cases, [error(case.name, case.seed, note) if found is None else found for case, found, note in tried]


def _attempt(work: Callable[[], Any]) -> tuple[Any, str]:
    """What `work` returns and an empty note; or None, and the exception it raised in words."""
    try:
        return work(), ""
    except (NotReady, Cancelled):
        raise  # no error: models that are waited for, or a run that was broken off
    except Exception as error:  # a claim may raise anything; that is a verdict on it, and no reason to lose the others
        return None, marks.literal(describe_error_with_line(error))


def _counterexamples(claim: Claim, cases: Sequence[Case], evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """The case that speaks most against a claim that fails; of a statement over seeds all of them."""
    if claim.over_seeds:
        return (
            _counterexample_over_seeds(claim, cases, evidence)
            if verdict_over_seeds(claim, evidence) == Verdict.FAILS
            else []
        )
    failed = [(c, e) for c, e in zip(cases, evidence, strict=True) if e.verdict == Verdict.FAILS]
    if not failed:
        return []
    case, worst = min(failed, key=lambda pair: pair[1].slack)
    return [counterexample(claim, case, worst)]


def _counterexample_over_seeds(
    claim: Claim, cases: Sequence[Case], evidence: Sequence[Evidence]
) -> list[dict[str, Any]]:
    """All seeds, the one with the smallest margin first."""
    margins = {i: margin(claim.relation, e.measured, e.predicted) for i, e in enumerate(evidence)}
    worst = min((i for i in margins if not math.isnan(margins[i])), key=lambda i: margins[i])
    others = [other for i, other in enumerate(cases) if i != worst]
    return [counterexample(claim, cases[worst], evidence[worst], others)]
