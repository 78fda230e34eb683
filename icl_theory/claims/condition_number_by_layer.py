"""Figure 3, depth: do deeper layers have larger condition numbers?"""

import numpy as np

from icl_theory.claims.base import Claim, Control, Verdict
from icl_theory.claims.cases import Case
from icl_theory.truncation import condition_number

MATRICES = ("value", "key", "query")


def log_condition(case: Case, name: str, layer: int) -> float:
    """log κ₂ of one matrix."""
    return float(np.log(condition_number(getattr(case.weights, name)[layer])))


def growth(case: Case, names: tuple[str, ...] = MATRICES) -> float:
    """log(κ₂ in the last layer / in the first), of the matrix that speaks most against the statement."""
    return min(log_condition(case, name, case.layers - 1) - log_condition(case, name, 0) for name in names)


CLAIM = Claim(
    label="condition_number_by_layer",
    source="Y Section 3.4 and Figure 3 (depth), arXiv:2406.03768v2, on small models",
    statement="The condition numbers of W_V, W_K and W_Q are higher in the last layer than in the first.",
    printed="printed",
    relation="at least",
    measure=growth,
    explanation="The paper sees a tendency in two language models; these are trained three-layer models. W_V does as "
    "the paper says (a control that holds): of the last layer only the label's row of the update is read, so that "
    "W_V is trained along one direction and its other singular values stay small. W_K and W_Q do the reverse.",
    controls=(
        Control("W_V alone", {"measure": lambda case: growth(case, ("value",))}, Verdict.HOLDS),
        Control("W_K alone", {"measure": lambda case: growth(case, ("key",))}),
        Control("W_V, layers exchanged", {"measure": lambda case: -growth(case, ("value",))}),
    ),
    cases=lambda workshop: workshop.population(3),
    population=True,
)
