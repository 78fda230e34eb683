"""The document of a counterexample, written when a claim fails; `icl_theory.claims.recheck` verifies it."""

from collections.abc import Sequence
from typing import Any

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.check import Evidence
from icl_theory.claims.engine.claim import Claim
from icl_theory.core.marks import unmarked

FORMAT = 2
"""2: the task by its type and all its fields, see `icl_theory.tasks.written`."""


def counterexample(claim: Claim, case: Case, evidence: Evidence, others: Sequence[Case] = ()) -> dict[str, Any]:
    """The document of one counterexample: the numbers seen, the case in full, and a small exact one if there is any.

    Against a statement about a population no single case is one: `others` are the rest of its seeds.
    """
    return {
        "format": FORMAT,
        "claim": claim.label,
        "statement": unmarked(claim.statement),
        "relation": claim.relation,
        "measured": evidence.measured,
        "predicted": evidence.predicted,
        "stderr": evidence.stderr,
        "exact": None if claim.exact_counterexample is None else claim.exact_counterexample(),
        "case": case.to_dict(),
        "others": [other.to_dict() for other in others],
    }
