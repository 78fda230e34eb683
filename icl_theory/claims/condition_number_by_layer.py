"""Figure 3, depth: do condition numbers tend to grow with depth?"""

from itertools import combinations

import numpy as np

from icl_theory.claims.base import Claim, Control, Verdict
from icl_theory.claims.cases import Case
from icl_theory.truncation import condition_number

MATRICES = ("value", "key", "query")


def tendency(case: Case, name: str) -> float:
    """Kendall's τ of depth and κ₂: share of the pairs of layers in which the deeper one is worse, minus the others'."""
    numbers = [condition_number(matrix) for matrix in getattr(case.weights, name)]
    return float(np.mean([np.sign(deep - shallow) for shallow, deep in combinations(numbers, 2)]))


def smallest(case: Case, names: tuple[str, ...] = MATRICES) -> float:
    """τ of the matrix that speaks most against the statement."""
    return min(tendency(case, name) for name in names)


CLAIM = Claim(
    label="condition_number_by_layer",
    source="Y Section 3.4 and Figure 3 (depth), arXiv:2406.03768v2, on small models",
    statement="The condition numbers of W_V, W_K and W_Q tend to grow with depth: their rank correlation is above 0.",
    printed="printed",
    relation="at least",
    measure=smallest,
    explanation="The paper sees the tendency in two language models; these are trained three-layer models. W_V does "
    "as the paper says (a control that holds): of the last layer only the label's row of the update is read, so that "
    "W_V is trained along one direction and its other singular values stay small. W_K and W_Q rather do the reverse; "
    "how clearly depends on the length of training, and their κ₂ in the first layer spreads over three orders of "
    "magnitude, as one singular value is trained to almost 0. Hence ranks are compared; this reading was chosen "
    "after a first one, the mean growth of log κ₂, had come out undecided in long runs.",
    controls=(
        Control("W_V alone", {"measure": lambda case: smallest(case, ("value",))}, Verdict.HOLDS),
        Control("W_Q alone", {"measure": lambda case: smallest(case, ("query",))}),
        Control("W_V, layers exchanged", {"measure": lambda case: -smallest(case, ("value",))}),
    ),
    cases=lambda workshop: workshop.population(3),
    population=True,
)
