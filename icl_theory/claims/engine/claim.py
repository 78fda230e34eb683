"""What a claim is, and how evidence for or against it is computed.

A claim compares something measured with something predicted, case by case. Nothing here knows which statements are
true: the verdict follows from the numbers, their standard errors, the relation, and the assumptions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np

from icl_theory.claims.engine.cases import Case, Workshop
from icl_theory.core import checks
from icl_theory.core.estimate import Estimate

Relation = Literal["equal", "at most", "at least", "never", "exists"]
Origin = Literal["printed", "repaired", "new"]
Measurement = Estimate | np.ndarray | float | bool

EXACT_TOLERANCE = 1e-11  # relative, for identities in float64
SMALL_ENTRY = 0.01
"""Entries below this share of an array's largest one are compared with that share: 450 units of rounding by default."""
BROKEN = "assumption broken: "
UNATTAINABLE = "no data of this shape can meet: "
"""How the note of a case begins that an assumption has kept from being measured; the assumption's sentence follows."""


class Verdict(StrEnum):
    """How a statement fared."""

    HOLDS = "HOLDS"
    FAILS = "FAILS"
    INCONCLUSIVE = "INCONCLUSIVE"
    """Error bars too wide to tell."""
    OUTSIDE = "OUTSIDE"
    """An assumption is broken, so the statement says nothing here."""
    VACUOUS = "VACUOUS"
    """Holds only because it exceeds the trivial bound, or its hypothesis can never be met."""
    NONFINITE = "NONFINITE"
    """A NaN or an infinity where a number was expected."""
    ERROR = "ERROR"
    """The check itself raised an exception: nothing is known of the statement, and the run is not sound."""


@dataclass(frozen=True)
class Assumption:
    """A hypothesis with its own check; outside it the answer is a refusal, not a number."""

    sentence: str
    holds: Callable[[Case], bool]
    attainable: Callable[[Case], bool] | None = None
    """Whether *any* weights and data of this case's shape could meet it; where none can, a claim is vacuous."""


@dataclass(frozen=True)
class Control:
    """A spoilt version of a claim that the same check must catch (or, with another `expected`, a sound one).

    A claim that fails needs the second kind too: a check that can only say FAILS shows nothing.
    """

    name: str
    changes: dict[str, Any]
    """Fields of the claim to replace: `measure`, `predict`, `relation`, `cases`, ..."""
    expected: Verdict = Verdict.FAILS


@dataclass(frozen=True)
class Claim:
    """A statement together with everything needed to test it."""

    label: str
    """Name on the command line."""
    source: str
    """Item and arXiv version."""
    statement: str
    """The statement in our words."""
    printed: Origin
    """"printed" as in the paper, "repaired", or "new"."""
    relation: Relation
    """How `measure` should relate to `predict`; "never" and "exists" look at `measure` alone (true or false)."""
    measure: Callable[[Case], Measurement]
    predict: Callable[[Case], Measurement] = lambda _: 0.0
    explanation: str = ""
    """What is checked, and why the statement may fail."""
    assumptions: tuple[Assumption, ...] = ()
    trivial: Callable[[Case], float] | None = None
    """The value every case satisfies anyway: an upper bound beyond it is not informative."""
    controls: tuple[Control, ...] = ()
    cases: Callable[[Workshop], Sequence[Case]] = lambda workshop: workshop.standard()
    population: bool = False
    """Whether the cases are a sample of trained seeds and the statement, an inequality, is about their mean: then the
    verdict comes from one interval over seeds, see `icl_theory.claims.engine.seed_interval`."""
    tolerance: float = EXACT_TOLERANCE
    """Relative tolerance for numbers without a standard error, entry by entry; see `check`."""
    certificate: Callable[[], dict[str, Any]] | None = None
    """A small exact counterexample in whole numbers, where one is known how to find."""
    recheck: Callable[[dict[str, Any]], bool] | None = None
    """Whether such a counterexample, read back from a file, does break the statement; in exact arithmetic."""
    proof: Callable[[], bool] | None = None
    """A symbolic derivation, run by the check; True if it simplifies to the statement."""


@dataclass(frozen=True)
class Evidence:
    """The outcome of one claim on one case."""

    verdict: Verdict
    case: str
    """Name of the case."""
    seed: int
    measured: float
    """The measured number; for arrays the entry that decides."""
    predicted: float
    """The predicted number at that entry."""
    slack: float
    """Signed margin in favour of the statement, relative for exact numbers, in standard errors otherwise."""
    stderr: float = 0.0
    informative: bool | None = None
    """Whether the bound beats the trivial one; None where there is no trivial bound."""
    note: str = ""
    """Assumption violated, or why a value is not finite."""


def _as_estimate(value: Measurement) -> tuple[np.ndarray, np.ndarray, str]:
    """Values, standard errors and note of a measurement, as arrays."""
    if isinstance(value, Estimate):
        return np.array([value.value]), np.array([value.stderr]), value.note
    array = np.atleast_1d(np.asarray(value, dtype=np.float64))
    return array, np.zeros(1), ""


def margin(relation: Relation, measured: Any, predicted: Any) -> Any:
    """How far each entry is on the right side of the relation (negative: on the wrong side)."""
    if relation == "equal":
        return -np.abs(measured - predicted)
    return predicted - measured if relation == "at most" else measured - predicted


def _compare(claim: Claim, measured: Measurement, predicted: Measurement, z: float) -> tuple:
    """(verdict, measured, predicted, slack, stderr, note) at the entry that decides."""
    m, m_error, m_note = _as_estimate(measured)
    p, p_error, p_note = _as_estimate(predicted)
    if claim.relation in ("never", "exists"):
        seen = bool(m.any())
        good = seen if claim.relation == "exists" else not seen
        return Verdict.HOLDS if good else Verdict.FAILS, float(seen), float("nan"), 0.0, 0.0, m_note
    _require_fitting(claim.label, m.shape, p.shape)
    m, p, m_error, p_error = (a.ravel() for a in np.broadcast_arrays(m, p, m_error, p_error))
    note = m_note or p_note
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
    """Raises: ValueError for no entries, or for shapes of which neither can be repeated to give the other.

    (3,) and (3, 1) would silently be compared as 3 x 3 numbers, every entry with every other.
    """
    if 0 in measured + predicted:
        raise checks.refuse(f"measurement of {label!r}", "no entries", "at least one number", "leave the case out")
    try:
        fits = np.broadcast_shapes(measured, predicted) in (measured, predicted)
    except ValueError:
        fits = False
    if not fits:
        cure = "return arrays of one shape, or one number for all entries"
        raise checks.refuse(f"prediction of {label!r}", f"shape {predicted}", f"shape {measured} as measured", cure)


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


def check(claim: Claim, case: Case, *, z: float = 6.0) -> Evidence:
    """The evidence for or against `claim` on one case.

    Assumptions first: one that no data of this shape could meet gives VACUOUS, one that is broken here gives
    OUTSIDE. Then `measure` and `predict` are compared under `relation`: exact numbers entry by entry to the claim's
    tolerance relative to the entry (or to a hundredth of the largest one, see `SMALL_ENTRY`), estimates with z combined
    standard errors, sqrt(se² + se²) (an inequality inside them is INCONCLUSIVE). A bound that holds but is not below
    the trivial value is VACUOUS.

    Args: claim, case: what to check and on what. z: standard errors, 6 by default.
    Returns: `Evidence`. Raises: ValueError for z ≤ 0, or arrays whose shapes do not fit.
    """
    z = checks.number("z", z, low=0.0, strict=True, cure="use a positive number of standard errors")
    nan = float("nan")
    for assumption in claim.assumptions:
        if assumption.attainable is not None and not assumption.attainable(case):
            note = UNATTAINABLE + assumption.sentence
            return Evidence(Verdict.VACUOUS, case.name, case.seed, nan, nan, nan, informative=False, note=note)
        if not assumption.holds(case):
            note = BROKEN + assumption.sentence
            return Evidence(Verdict.OUTSIDE, case.name, case.seed, nan, nan, nan, note=note)
    verdict, m, p, slack, error, note = _compare(claim, claim.measure(case), claim.predict(case), z)
    informative = None
    if claim.trivial is not None and verdict == Verdict.HOLDS:
        beyond = p >= claim.trivial(case) if claim.relation == "at most" else p <= claim.trivial(case)
        informative = not beyond
        verdict = Verdict.VACUOUS if beyond else verdict
    return Evidence(verdict, case.name, case.seed, m, p, slack, error, informative, note)
