"""How evidence for or against a claim is computed on one case."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Measurement, Relation, Verdict
from icl_theory.core import checks
from icl_theory.core.estimate import Direction, Estimate
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result

SMALL_ENTRY = 0.01
"""Entries below this share of an array's largest one are compared with that share: 450 units of rounding by default."""
BROKEN = "assumption broken: "
UNATTAINABLE = "no data of this shape can meet: "
"""How the note of a case begins that an assumption has kept from being measured; the assumption's sentence follows."""


@fields_in_help
@dataclass(frozen=True, repr=False)
class Evidence(Result):
    """The outcome of one claim on one case.

    Example:
        >>> from icl_theory.claims import CaseFactory, Claim, check
        >>> claim = Claim(source="definition", statement="$N ≥ b$", origin="new", relation="at least",
        ...               measure=lambda case: float(len(case.demonstrations)), predict=lambda case: float(case.shots))
        >>> evidence = check(claim, CaseFactory("quick", seed=0).random(layers=1)[0])
        >>> evidence.verdict.value, evidence.measured, evidence.predicted
        ('HOLDS', 20.0, 10.0)
    """

    verdict: Verdict
    """Of this case alone."""
    case: str
    """Name of the case."""
    seed: int
    """Seed of the case."""
    measured: float
    """The measured number; for arrays the entry that decides."""
    predicted: float
    """The predicted number at that entry."""
    slack: float
    """Signed margin in favour of the statement, relative for exact numbers, in standard errors otherwise."""
    stderr: float = 0.0
    """Combined standard error of both sides at that entry."""
    informative: bool | None = None
    """Whether the bound beats the trivial one; None where there is no trivial bound."""
    note: str = ""
    """Assumption violated, or why a value is not finite."""


def check(claim: Claim, case: Case, *, z: float = 6.0) -> Evidence:
    """The evidence for or against `claim` on one case.

    Assumptions first: one that no data of this shape could meet gives VACUOUS, one that is broken here gives
    OUTSIDE. Then `measure` and `predict` are compared under `relation`: exact numbers entry by entry to the claim's
    tolerance relative to the entry (or to a hundredth of the largest one, see `SMALL_ENTRY`), estimates with z combined
    standard errors, sqrt(se² + se²) (an inequality inside them is INCONCLUSIVE). A bound that holds but is not below
    the trivial value is VACUOUS. A claim that refutes HOLDS in a case that breaks the relation, and FAILS elsewhere.

    Args:
        claim: what to check.
        case: on what.
        z: standard errors that decide.

    Returns: `Evidence`.
    Raises: ValueError for z ≤ 0, arrays that are neither of one shape nor a single number, numbers in float32, and
        estimates that cannot decide: a "lower" one as the measured side of "at most", an "upper" one of "at least", a
        "biased" one anywhere.

    Example:
        >>> from icl_theory.claims import CaseFactory, check
        >>> from icl_theory.claims.registry import load
        >>> check(load("lemma_1"), CaseFactory("quick", seed=0).random(layers=1)[0]).verdict.value
        'HOLDS'
    """
    z = checks.number("z", z, low=0.0, strict=True, hint="use a positive number of standard errors")
    nan = float("nan")
    for assumption in claim.assumptions:
        if assumption.attainable is not None and not assumption.attainable(case):
            note = UNATTAINABLE + assumption.sentence
            return Evidence(Verdict.VACUOUS, case.name, case.seed, nan, nan, nan, informative=False, note=note)
        if not assumption.holds(case):
            note = BROKEN + assumption.sentence
            return Evidence(Verdict.OUTSIDE, case.name, case.seed, nan, nan, nan, note=note)
    measured = _numbers(f"measurement of {claim.label!r}", claim.measure(case))
    predicted = _numbers(f"prediction of {claim.label!r}", claim.predict(case))
    verdict, m, p, slack, error, note = _compare(claim, measured, predicted, z)
    if claim.refutes:
        return Evidence(verdict.reversed, case.name, case.seed, m, p, -slack, error, note=note)
    informative = None
    if claim.trivial is not None and verdict == Verdict.HOLDS:
        beyond = p >= claim.trivial(case) if claim.relation == "at most" else p <= claim.trivial(case)
        informative = not beyond
        verdict = Verdict.VACUOUS if beyond else verdict
    return Evidence(verdict, case.name, case.seed, m, p, slack, error, informative, note)


def margin(relation: Relation, measured: Any, predicted: Any) -> Any:
    """How far each entry is on the right side of the relation (negative: on the wrong side)."""
    if relation == "equal":
        return -np.abs(measured - predicted)
    return predicted - measured if relation == "at most" else measured - predicted


class _Numbers(NamedTuple):
    """One side of a comparison."""

    values: np.ndarray
    errors: np.ndarray
    directions: frozenset[Direction]
    note: str


def _numbers(name: str, side: Measurement) -> _Numbers:
    """Values and standard errors of one side, in float64."""
    if isinstance(side, Estimate):
        return _Numbers(np.array(side.value), np.array(side.stderr), frozenset([side.direction]), side.note)
    if isinstance(side, list | tuple) and side and all(isinstance(item, Estimate) for item in side):
        values, errors = (np.array([getattr(item, part) for item in side]) for part in ("value", "stderr"))
        note = next((item.note for item in side if item.note), "")
        return _Numbers(values, errors, frozenset(item.direction for item in side), note)
    values = checks.numbers(name, side)
    return _Numbers(values, np.zeros(()), frozenset(["exact"]), "")


def _compare(claim: Claim, measured: _Numbers, predicted: _Numbers, z: float) -> tuple:
    """(verdict, measured, predicted, slack, stderr, note) at the entry that decides."""
    if claim.relation in ("never", "exists"):
        seen = bool(measured.values.any())
        good = seen if claim.relation == "exists" else not seen
        return Verdict.HOLDS if good else Verdict.FAILS, float(seen), float("nan"), 0.0, 0.0, measured.note
    _require_fitting(claim.label, measured.values.shape, predicted.values.shape)
    _require_deciding(claim, measured, predicted)
    m, m_error, p, p_error = (a.ravel() for a in np.broadcast_arrays(*measured[:2], *predicted[:2]))
    note = measured.note or predicted.note
    if not np.isfinite(m).all() or np.isnan(p).any():
        bad = int(np.argmax(~np.isfinite(m) | np.isnan(p)))
        return Verdict.NONFINITE, float(m[bad]), float(p[bad]), float("nan"), 0.0, note
    error = np.hypot(m_error, p_error)
    slack = margin(claim.relation, m, p) / np.where(error > 0, error, _sizes(m, p))
    verdicts = [
        _statistical_verdict(claim, s, z) if e > 0 else Verdict.HOLDS if s >= -claim.tolerance else Verdict.FAILS
        for s, e in zip(slack, error, strict=True)
    ]
    # The entry furthest on the wrong side of its own limit: exact entries are measured in tolerances, others in z.
    worst = int(np.argmin(slack / np.where(error > 0, z, max(claim.tolerance, 1e-300))))
    verdict = next(v for v in (Verdict.FAILS, Verdict.INCONCLUSIVE, Verdict.HOLDS) if v in verdicts)
    return verdict, float(m[worst]), float(p[worst]), float(slack[worst]), float(error[worst]), note


def _require_fitting(label: str, measured: tuple[int, ...], predicted: tuple[int, ...]) -> None:
    """Raises: ValueError for no entries, or for two shapes of which neither is that of a single number.

    (3,) and (3, 1) would silently be compared as 3 x 3 numbers, every entry with every other.
    """
    if 0 in measured + predicted:
        raise checks.error(f"measurement of {label!r}", "no entries", "at least one number", "leave the case out")
    if measured != predicted and () not in (measured, predicted):
        hint = "return arrays of one shape, or one number for all entries"
        raise checks.error(f"prediction of {label!r}", f"shape {predicted}", f"shape {measured} as measured", hint)


_WRONG_SIDE: dict[str, Direction] = {"at most": "lower", "at least": "upper"}


def _require_deciding(claim: Claim, measured: _Numbers, predicted: _Numbers) -> None:
    """Raises: ValueError for an estimate that can be on the right side of the relation while the truth is not."""
    both = measured.directions | predicted.directions
    if "biased" in both:
        raise _undecided(claim, "a biased estimate", "exact or unbiased numbers, or bounds")
    wrong = _WRONG_SIDE.get(claim.relation)
    if wrong in measured.directions:
        raise _undecided(claim, f"a {wrong!r} estimate of the measured side", f"another for {claim.relation!r}")


def _undecided(claim: Claim, got: str, expected: str) -> ValueError:
    return checks.error(f"comparison of {claim.label!r}", got, expected, "measure it from the other side")


def _sizes(m: np.ndarray, p: np.ndarray) -> np.ndarray:
    """What a deviation of exact entries is relative to: the entry's own size, but not below a share of the array's.

    An entry can be a small difference of large numbers, and then carries their rounding. How large they are is read
    off what was measured, never off the prediction: a generous bound on one entry excuses nothing in another.
    """
    own = np.maximum(np.abs(m), np.where(np.isfinite(p), np.abs(p), 0.0))
    return np.maximum(own, max(SMALL_ENTRY * float(np.abs(m).max()), 1e-300))


def _statistical_verdict(claim: Claim, slack: float, z: float) -> Verdict:
    """An inequality must clear z standard errors either way; an equality must stay within them."""
    if claim.relation == "equal":
        return Verdict.HOLDS if slack >= -z else Verdict.FAILS
    if abs(slack) < z:
        return Verdict.INCONCLUSIVE
    return Verdict.HOLDS if slack > 0 else Verdict.FAILS
