"""What a run over all cases of a claim says: one verdict, its controls, a certificate where it fails."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from icl_theory.claims.base import Claim, Evidence, Verdict, check, margin
from icl_theory.claims.cases import Case, Workshop
from icl_theory.claims.certificate import certificate
from icl_theory.claims.population import Population, judge, population_of


def conclude(claim: Claim, evidence: Sequence[Evidence]) -> Verdict:
    """One verdict from all cases: a universal statement fails with one counterexample, `exists` holds with one.

    A statement about a population is judged by one interval over its seeds instead.
    """
    if claim.population:
        return judge(claim, evidence)
    seen = {item.verdict for item in evidence}
    if claim.relation == "exists" and Verdict.HOLDS in seen:
        return Verdict.HOLDS
    order = (Verdict.NONFINITE, Verdict.FAILS, Verdict.INCONCLUSIVE, Verdict.HOLDS, Verdict.VACUOUS)
    return next((verdict for verdict in order if verdict in seen), Verdict.OUTSIDE)


@dataclass(frozen=True)
class ControlOutcome:
    """What the check said of a control."""

    name: str
    verdict: Verdict
    expected: Verdict

    @property
    def caught(self) -> bool:
        """The check said what it had to say."""
        return self.verdict == self.expected


@dataclass(frozen=True)
class Outcome:
    """Everything the run found out about one claim."""

    claim: Claim
    verdict: Verdict
    evidence: list[Evidence]
    controls: list[ControlOutcome]
    proved: bool | None = None
    """Result of the symbolic derivation, None where there is none."""
    certificates: list[dict[str, Any]] = field(default_factory=list)
    population: Population | None = None
    """The interval over seeds behind the verdict of a population claim."""
    seconds: float = math.nan

    @property
    def informative(self) -> bool | None:
        """Whether any case beat the trivial bound; None where there is no trivial bound."""
        known = [item.informative for item in self.evidence if item.informative is not None]
        return any(known) if known else None

    @property
    def sound(self) -> bool:
        """Conclusive and finite, every control caught, and the derivation (if any) came out true."""
        settled = self.verdict not in (Verdict.INCONCLUSIVE, Verdict.NONFINITE)
        return settled and all(c.caught for c in self.controls) and self.proved is not False


def derive(claim: Claim) -> bool | None:
    """Whether the symbolic derivation comes out true; None for a claim without one. It needs no case."""
    return None if claim.proof is None else bool(claim.proof())


def examine(claim: Claim, workshop: Workshop, *, z: float = 6.0, proved: bool | None = None) -> Outcome:
    """Check a claim and its controls on all their cases, and keep a certificate if the claim fails.

    `proved` is what `derive` has said; if None, it is asked here.
    """
    cases = claim.cases(workshop)
    evidence = [check(claim, case, z=z) for case in cases]
    controls = []
    for control in claim.controls:
        spoilt = replace(claim, **control.changes)
        verdict = conclude(spoilt, [check(spoilt, case, z=z) for case in spoilt.cases(workshop)])
        controls.append(ControlOutcome(control.name, verdict, control.expected))
    proved = derive(claim) if proved is None else proved
    certificates, found = _certificates(claim, cases, evidence), population_of(claim, evidence)
    return Outcome(claim, conclude(claim, evidence), evidence, controls, proved, certificates, found)


def _certificates(claim: Claim, cases: Sequence[Case], evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """The case that speaks most against a claim that fails; of a population all seeds."""
    if claim.population:
        return _population_certificate(claim, cases, evidence) if judge(claim, evidence) == Verdict.FAILS else []
    failed = [(c, e) for c, e in zip(cases, evidence, strict=True) if e.verdict == Verdict.FAILS]
    if not failed:
        return []
    case, worst = min(failed, key=lambda pair: pair[1].slack)
    return [certificate(claim, case, worst)]


def _population_certificate(claim: Claim, cases: Sequence[Case], evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    """All seeds, the one with the smallest margin first."""
    margins = {i: margin(claim.relation, e.measured, e.predicted) for i, e in enumerate(evidence)}
    worst = min((i for i in margins if not math.isnan(margins[i])), key=lambda i: margins[i])
    others = [other for i, other in enumerate(cases) if i != worst]
    return [certificate(claim, cases[worst], evidence[worst], others)]
