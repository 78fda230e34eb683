"""What a claim is: a statement, what it rests on, how both of its sides are computed, and how the check is controlled.

A claim compares something measured with something predicted, case by case. Nothing here knows which statements are
true: the verdict follows from the numbers, their standard errors, the relation, and the assumptions.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from typing import Any, Final, Literal, get_args

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import Requirement
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.validation import (
    require_balanced,
    require_callable,
    require_instances,
    require_option,
    require_text,
)
from icl_theory.claims.engine.verdict import Verdict
from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.field_docs import fields_in_help

Relation = Literal["equal", "at most", "at least", "never", "exists", "trend"]
"""How the measured side relates to the predicted one; "never" and "exists" use the measured side alone, "trend" the
cells of a registered grid."""
Origin = Literal["paper", "repaired", "new", "reading"]
"""As the paper prints it, as we repaired it, ours, or the paper's words with a margin that is ours."""
Measurement = Estimate | Sequence[Estimate] | np.ndarray | float | bool
Side = Callable[[Case], Measurement]
Reading = Callable[[np.ndarray], np.ndarray]
"""Of the values of a registered finding, one for each cell and seed."""

EXACT_TOLERANCE = 1e-11  # relative, for identities in float64
INEQUALITIES = ("at most", "at least")
EVENTS = ("never", "exists", "trend")
"""Relations without two sides."""
_LABEL = re.compile("[a-z_][a-z0-9_]*")  # it becomes the name of a file and of a place in the report


class Unchanged(Enum):
    """Type of the mark for fields of a claim that a control leaves as they are; None can be a change."""

    UNCHANGED = "unchanged"


UNCHANGED: Final = Unchanged.UNCHANGED


@fields_in_help
@dataclass(frozen=True)
class Assumption:
    """A hypothesis with its own check; outside it the verdict is OUTSIDE, and nothing is measured.

    Example:
        >>> from icl_theory.claims import Assumption
        >>> Assumption("$b < N$", holds=lambda case: case.shots < len(case.demonstrations)).sentence
        '$b < N$'
    """

    sentence: str
    """The hypothesis in words."""
    holds: Callable[[Case], bool]
    """Whether a case meets it."""
    attainable: Callable[[Case], bool] | None = None
    """Whether *any* weights and data of this case's shape could meet it; where none can, a claim is vacuous."""

    def __post_init__(self) -> None:
        what = f"assumption {self.sentence!r}"
        require_text("sentence of an assumption", self.sentence)
        require_callable(f"holds of {what}", self.holds)
        if self.attainable is not None:
            require_callable(f"attainable of {what}", self.attainable)


@fields_in_help
@dataclass(frozen=True)
class Control:
    """The claim with some fields replaced, for which the check must return `expected`.

    Negative controls (FAILS, the default) show that the check can fail: a factor off by 1 %, a sign, a dropped
    transpose. A claim expected to fail also needs a positive control (HOLDS).

    Example:
        >>> from icl_theory.claims import Control
        >>> control = Control("off by 1 %", predict=lambda case: 1.01 * case.shots)
    """

    name: str
    """What was changed, in words."""
    measure: Side | Unchanged = field(default=UNCHANGED, kw_only=True)
    """Another measured side."""
    predict: Side | Unchanged = field(default=UNCHANGED, kw_only=True)
    """Another predicted side."""
    relation: Relation | Unchanged = field(default=UNCHANGED, kw_only=True)
    """Another relation."""
    cases: "Callable[[CaseFactory], Sequence[Case]] | Unchanged" = field(default=UNCHANGED, kw_only=True)
    """Other cases."""
    assumptions: tuple[Assumption, ...] | Unchanged = field(default=UNCHANGED, kw_only=True)
    """Other assumptions."""
    trivial: Callable[[Case], float] | Unchanged | None = field(default=UNCHANGED, kw_only=True)
    """Another trivial value; None for none."""
    tolerance: float | Unchanged = field(default=UNCHANGED, kw_only=True)
    """Another relative tolerance."""
    over_seeds: bool | Unchanged = field(default=UNCHANGED, kw_only=True)
    """Whether it is judged over seeds."""
    read: Reading | Unchanged = field(default=UNCHANGED, kw_only=True)
    """Another reading of the values of a registered finding."""
    expected: Verdict = field(default=Verdict.FAILS, kw_only=True)
    """What the check must say of the relation; see `due`."""

    def __post_init__(self) -> None:
        require_text("name of a control", self.name)
        require_option(f"expected verdict of control {self.name!r}", self.expected, tuple(Verdict))
        if not self.changes:
            got = f"control {self.name!r} that changes nothing"
            raise checks.error("control", got, "a field of the claim to replace", "pass predict=..., say")
        _require_fields(f"control {self.name!r}", self.changes)

    @property
    def changes(self) -> dict[str, Any]:
        """The fields of the claim that are replaced, by name."""
        named = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("name", "expected")}
        return {name: value for name, value in named.items() if value is not UNCHANGED}

    def due(self, claim: "Claim") -> Verdict:
        """What the check must say of the claim so changed: of one that refutes, the reverse of `expected`.

        Args:
            claim: the claim that this is a control of.
        """
        return self.expected.reversed if claim.refutes else self.expected

    def applied(self, claim: "Claim") -> "Claim":
        """The claim that the check is run on.

        Args:
            claim: the claim that this is a control of.
        """
        return replace(claim, **self.changes, controls=())


@fields_in_help
@dataclass(frozen=True)
class Claim:
    """A statement together with everything needed to test it; validated when it is made.

    Example:
        >>> import numpy as np
        >>> from icl_theory.claims import CaseFactory, Claim, Control, examine
        >>> def trace(case):
        ...     return float(np.trace(case.model.value[0] @ case.model.key[0]))
        >>> def entrywise(case):
        ...     return float((case.model.key[0] * case.model.value[0].T).sum())
        >>> claim = Claim(
        ...     label="trace_of_a_product",
        ...     source="linear algebra",
        ...     statement="$tr(A B) = Σ_ij A_ij B_ji$",
        ...     origin="new",
        ...     relation="equal",
        ...     measure=trace,
        ...     predict=entrywise,
        ...     controls=(
        ...         Control("off by 1 %", predict=lambda case: 1.01 * entrywise(case)),
        ...         Control("with a sign", predict=lambda case: -entrywise(case)),
        ...     ),
        ...     cases=lambda factory: factory.random(layers=1),
        ... )
        >>> outcome = examine(claim, CaseFactory("quick", seed=0))
        >>> outcome.verdict.value, [control.verdict.value for control in outcome.controls]
        ('HOLDS', ['FAILS', 'FAILS'])
    """

    source: str
    """Item and arXiv version."""
    statement: str
    """The statement in our words; formulas in this and all other texts stand between marks, as in $x² ≥ 0$."""
    origin: Origin
    """"paper" as printed there, "repaired", "new", or "reading": the paper's words, made measurable by us."""
    relation: Relation
    """How `measure` should relate to `predict`; "never" and "exists" use `measure` alone (true or false)."""
    measure: Side
    """The left side of a case: a number, an array, or an `Estimate` or several with their standard errors."""
    predict: Side = lambda _: 0.0
    """The right side of a case, computed by another method that shares as little code as possible."""
    explanation: str = ""
    """What is checked, and why the statement may fail."""
    assumptions: tuple[Assumption, ...] = ()
    """Hypotheses of the statement, checked in this order."""
    trivial: Callable[[Case], float] | None = None
    """The value every case satisfies anyway: an upper bound beyond it is not informative."""
    controls: tuple[Control, ...] = ()
    """What shows that the check can fail, and where the claim fails, that it can hold."""
    cases: Callable[[CaseFactory], Sequence[Case]] = lambda factory: factory.standard()
    """Which weights and data; random, constructed, trained and truncated ones if left out."""
    over_seeds: bool = False
    """Whether the cases are a sample of trained seeds and the statement, an inequality, is about their mean: then the
    verdict comes from one interval over seeds, see `icl_theory.claims.engine.seed_interval`."""
    tolerance: float = EXACT_TOLERANCE
    """Relative tolerance for numbers without a standard error, entry by entry; see `check`."""
    refutes: bool = False
    """Whether the statement is that some case breaks the relation: a counterexample of ours, said positively. A case
    that breaks it HOLDS, any other FAILS, and one that HOLDS is enough."""
    finding: str = ""
    """Name of the registered finding that a "trend" is; its verdict is read off the record of the grid, see
    `icl_theory.grids`, and `measure`, `predict` and `cases` are not used."""
    read: Reading = lambda values: values
    """How the values of the finding are read; a control shifts them, say."""
    requires: tuple[Requirement, ...] = ("linear regression",)
    """What statement and check are about; in settings of the user's that are not so the claim is OUTSIDE."""
    exact_counterexample: Callable[[], dict[str, Any]] | None = None
    """A small exact counterexample in whole numbers, where a way to find one is known."""
    verify_exact: Callable[[dict[str, Any]], bool] | None = None
    """Whether such a counterexample, read back from a file, does break the statement; in exact arithmetic."""
    proof: Callable[[], bool] | None = None
    """A symbolic derivation, run by the check; True if it simplifies to the statement."""
    label: str = ""
    """Name on the command line; for a claim in a file of its own it is the name of the file."""

    def __post_init__(self) -> None:
        name = f"claim {self.label!r}" if self.label else "a claim"
        if not isinstance(self.label, str) or (self.label and not _LABEL.fullmatch(self.label)):
            hint = "use lower-case letters, digits and underscores"
            raise checks.error("label of a claim", repr(self.label), "a name such as lemma_1", hint)
        for text in ("source", "statement"):
            require_text(f"{text} of {name}", getattr(self, text))
        if not isinstance(self.explanation, str):
            raise checks.error(f"explanation of {name}", repr(self.explanation), "text", "write what is checked")
        require_balanced(f"explanation of {name}", self.explanation)
        require_option(f"origin of {name}", self.origin, get_args(Origin))
        _require_fields(name, {f.name: getattr(self, f.name) for f in fields(self)})
        require_instances(f"controls of {name}", self.controls, Control)
        if not isinstance(self.refutes, bool) or (self.refutes and (self.over_seeds or self.relation in EVENTS)):
            expected = "True or False, and True for equal, at most and at least on single cases alone"
            raise checks.error(f"refutes of {name}", repr(self.refutes), expected, "leave it out")
        for requirement in self.requires:
            require_option(f"requires of {name}", requirement, get_args(Requirement))
        twice = {c.name for c in self.controls if sum(other.name == c.name for other in self.controls) > 1}
        if twice:
            raise checks.error(f"controls of {name}", f"{sorted(twice)[0]!r} twice", "names of their own", "rename one")
        if (self.relation == "trend") != bool(self.finding):
            got = f"{self.relation!r} with {f'finding {self.finding!r}' if self.finding else 'no finding'}"
            raise checks.error(f"relation of {name}", got, '"trend" of a registered finding', "name one, or neither")
        if self.over_seeds and self.relation not in INEQUALITIES:
            raise checks.error(f"relation of {name}", repr(self.relation), "an inequality over seeds", 'use "at most"')

    @property
    def of_a_counterexample(self) -> Verdict:
        """The verdict of a case that breaks the relation."""
        return Verdict.HOLDS if self.refutes else Verdict.FAILS


_SIDES = ("measure", "predict", "cases", "read")
_OPTIONAL = ("trivial", "exact_counterexample", "verify_exact", "proof")


def _require_fields(name: str, values: dict[str, Any]) -> None:
    """Raises: ValueError unless the fields that claims and controls share are of their kind."""
    for side in _SIDES:
        if side in values:
            require_callable(f"{side} of {name}", values[side])
    for optional in _OPTIONAL:
        if values.get(optional) is not None:
            require_callable(f"{optional} of {name}", values[optional])
    if "relation" in values:
        require_option(f"relation of {name}", values["relation"], get_args(Relation))
    if "assumptions" in values:
        require_instances(f"assumptions of {name}", values["assumptions"], Assumption)
    if "tolerance" in values:
        checks.number(f"tolerance of {name}", values["tolerance"], low=0.0, hint="pass a relative tolerance")
    if not isinstance(values.get("over_seeds", False), bool):
        raise checks.error(f"over_seeds of {name}", repr(values["over_seeds"]), "True or False", "leave it out")
