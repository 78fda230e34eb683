"""Values of a case's bound ladder that several claims compare."""

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption
from icl_theory.core.estimate import Estimate


def generalization_gap(case: Case) -> Estimate:
    """Measured generalization gap."""
    return case.ladder().gap


RESOLVED = Assumption(
    "$N - 1 ≥ d_t$ in every layer, so that $C_t$ is not singular on its support",
    holds=lambda case: max(case.ladder().support) <= case.ladder_demonstrations - 1,
)
