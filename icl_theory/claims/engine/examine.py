"""What a run over all cases of a claim says: one verdict, its controls, a certificate where it fails."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import OutsideSettings
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.check import Evidence, check, margin
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.engine.counterexample import counterexample
from icl_theory.claims.engine.exceptions import describe_error_with_line
from icl_theory.claims.engine.expected_verdicts import Flip, expected_verdict, flip
from icl_theory.claims.engine.grid_evidence import grid_evidence
from icl_theory.claims.engine.seed_interval import SeedInterval, interval_over_seeds, verdict_over_seeds
from icl_theory.claims.engine.trained_ensembles import Cancelled, NotReady
from icl_theory.core import checks, marks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result

NO_CASE = "making the cases"
"""Name of the case in the evidence that there are no cases because making them raised an exception."""
THESE_SETTINGS = "these settings"
"""Name of the case in the evidence that the settings of a run have no case for the claim."""
Failure = tuple[Verdict, str]
"""What an exception means, and its words; no words where there was none."""


def overall_verdict(claim: Claim, evidence: Sequence[Evidence]) -> Verdict:
    """One verdict from all cases: a universal statement fails with one counterexample, `exists` holds with one.

    A statement over seeds is judged by one interval over its seeds instead.
    """
    seen = {item.verdict for item in evidence}
    if Verdict.ERROR in seen:
        return Verdict.ERROR
    if claim.finding and evidence:  # the first entry is that of all cells
        return evidence[0].verdict
    if claim.over_seeds:
        return verdict_over_seeds(claim, evidence)
    if (claim.relation == "exists" or claim.refutes) and Verdict.HOLDS in seen:
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
    usual: bool = True
    """Whether the run had the usual settings, for which the verdicts are known."""
    seconds: float = math.nan

    @property
    def informative(self) -> bool | None:
        """Whether any case beat the trivial bound; None where there is no trivial bound."""
        known = [item.informative for item in self.evidence if item.informative is not None]
        return any(known) if known else None

    @property
    def expected(self) -> str | None:
        """The verdict that is known for a claim of this package in the usual settings, None for any other."""
        return expected_verdict(self.claim.label) if self.usual else None

    @property
    def flip(self) -> Flip | None:
        """What it means that the verdict is not the expected one; None where it is."""
        return flip(self.claim.label, self.claim.origin, self.verdict) if self.usual else None

    @property
    def sound(self) -> bool:
        """Conclusive and finite, no regression, every control caught, and the derivation (if any) came out true.

        That a registered grid does not decide a finding is a result, and no fault of the run.

        Controls were made for the usual settings: in others one of them must be caught, to show that the check can
        tell, and those that do not bite there (a factor I + W_{t-1} dropped from a single layer) are only reported.
        """
        settled = self.verdict not in (Verdict.INCONCLUSIVE, Verdict.NONFINITE, Verdict.ERROR)
        settled = settled or (bool(self.claim.finding) and self.verdict == Verdict.INCONCLUSIVE)
        found = [control.caught for control in self.controls]
        caught = all(found) if self.usual else any(found) or self.verdict == Verdict.OUTSIDE
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
    found, (_, note) = _attempt(claim.proof)
    return Derivation(bool(found), note)


def examine(claim: Claim, factory: CaseFactory, *, z: float = 6.0, derivation: Derivation | None = None) -> Outcome:
    """Check a claim and its controls on all their cases, and keep a certificate if the claim fails.

    An exception while cases are made or checked gives the verdict ERROR with its message and place; it is not raised.
    In settings other than the usual ones a claim that needs what they lack, or is refused there as bad input, is
    OUTSIDE with the reason; so is a control, which is then left out.

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
    verdict, usual = overall_verdict(claim, evidence), factory.settings.usual
    controls = [_controlled(claim, control, factory, z) for control in claim.controls if usual or verdict != "OUTSIDE"]
    if not usual:
        controls = [item for item in controls if item.verdict != Verdict.OUTSIDE or item.caught]
    proved, note = run_proof(claim) if derivation is None else derivation
    counterexamples, over_seeds = [], None
    if cases and verdict != Verdict.ERROR:
        counterexamples, over_seeds = _counterexamples(claim, cases, evidence), interval_over_seeds(claim, evidence)
    return Outcome(claim, verdict, evidence, controls, proved, note, counterexamples, over_seeds, usual)


def _controlled(claim: Claim, control: Control, factory: CaseFactory, z: float) -> ControlOutcome:
    controlled = control.applied(claim)
    found = _evidence(controlled, factory, z)[1]
    note = next((item.note for item in found if item.verdict == Verdict.ERROR), "")
    return ControlOutcome(control.name, overall_verdict(controlled, found), control.due(claim), note)


def _evidence(claim: Claim, factory: CaseFactory, z: float) -> tuple[Sequence[Case], list[Evidence]]:
    """The cases of a claim and the evidence of each; what raises an exception is evidence too, of an ERROR."""
    usual = factory.settings.usual
    if not usual and (lacking := factory.settings.lacking(claim.requires)):
        return [], [_without_numbers(Verdict.OUTSIDE, THESE_SETTINGS, factory.seed, lacking)]
    if claim.finding:
        found, (verdict, note) = _attempt(lambda: grid_evidence(claim))
        return [], found or [_without_numbers(verdict, NO_CASE, factory.seed, note)]
    factory.asked = False
    factory.lost.clear()
    cases, failure = _attempt(lambda: claim.cases(factory), usual)
    if not cases:
        return [], [_no_case(failure, factory)]
    if not (usual or factory.asked):
        note = "its cases are its own, whatever the settings"
        return [], [_without_numbers(Verdict.OUTSIDE, THESE_SETTINGS, factory.seed, note)]
    tried = [(case, *_attempt(lambda case=case: check(claim, case, z=z), usual)) for case in cases]
    return cases, [
        found or _without_numbers(failure[0], case.name, case.seed, failure[1]) for case, found, failure in tried
    ]


def _no_case(failure: Failure, factory: CaseFactory) -> Evidence:
    """Why there are no cases: an exception, or settings that have none of the kind."""
    verdict, note = failure
    if not note and factory.lost:
        verdict, note = Verdict.OUTSIDE, f"it needs {' or '.join(dict.fromkeys(factory.lost))}"
    place = THESE_SETTINGS if verdict == Verdict.OUTSIDE else NO_CASE
    return _without_numbers(verdict, place, factory.seed, note or "the claim has no cases: nothing was examined")


def _without_numbers(verdict: Verdict, name: str, seed: int, note: str) -> Evidence:
    return Evidence(verdict, name, seed, math.nan, math.nan, math.nan, note=note)


def _attempt(work: Callable[[], Any], usual: bool = True) -> tuple[Any, Failure]:
    """What `work` returns; or None, and what its exception means, with its words.

    In unusual settings, what is refused as bad input, or is not there, is OUTSIDE.
    """
    try:
        return work(), (Verdict.ERROR, "")
    except (NotReady, Cancelled):
        raise  # no error: models that are waited for, or a run that was broken off
    except Exception as error:  # a claim may raise anything; that is a verdict on it, and no reason to lose the others
        if not usual and isinstance(error, OutsideSettings | checks.InvalidInputError | np.linalg.LinAlgError):
            what = {OutsideSettings: "it needs ", checks.InvalidInputError: ""}.get(type(error), "beyond float64: ")
            return None, (Verdict.OUTSIDE, marks.literal(f"{what}{error}"))
        return None, (Verdict.ERROR, marks.literal(describe_error_with_line(error)))


def _counterexamples(claim: Claim, cases: Sequence[Case], evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """The case that breaks the relation most; of a statement over seeds that fails all of them."""
    if claim.over_seeds:
        return (
            _counterexample_over_seeds(claim, cases, evidence)
            if verdict_over_seeds(claim, evidence) == Verdict.FAILS
            else []
        )
    broken = [(c, e) for c, e in zip(cases, evidence, strict=True) if e.verdict == claim.of_a_counterexample]
    if not broken:
        return []
    case, worst = max(broken, key=lambda pair: abs(pair[1].slack))
    return [counterexample(claim, case, worst)]


def _counterexample_over_seeds(
    claim: Claim, cases: Sequence[Case], evidence: Sequence[Evidence]
) -> list[dict[str, Any]]:
    """All seeds, the one with the smallest margin first."""
    margins = {i: margin(claim.relation, e.measured, e.predicted) for i, e in enumerate(evidence)}
    worst = min((i for i in margins if not math.isnan(margins[i])), key=lambda i: margins[i])
    others = [other for i, other in enumerate(cases) if i != worst]
    return [counterexample(claim, cases[worst], evidence[worst], others)]
