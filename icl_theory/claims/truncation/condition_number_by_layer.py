"""Figure 3, depth: do condition numbers tend to grow with depth?"""

from itertools import combinations

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.condition_numbers import condition_population
from icl_theory.truncation.conditioning import condition_number

MATRICES = ("value", "key", "query", "mlp_in", "mlp_out")


def tendency(case: Case, name: str) -> float:
    """Kendall's τ of depth and κ₂: share of the pairs of layers in which the deeper one is worse, minus the others'."""
    numbers = [condition_number(matrix) for matrix in getattr(case.model, name)]
    return float(np.mean([np.sign(deep - shallow) for shallow, deep in combinations(numbers, 2)]))


def smallest(case: Case, names: tuple[str, ...] = MATRICES) -> float:
    """$τ$ of the matrix that speaks most against the statement."""
    return min(tendency(case, name) for name in names)


CLAIM = Claim(
    source="Y Section 3.4 and Figure 3 (depth), arXiv:2406.03768v2, on small models",
    statement="The condition numbers of $W_V$, $W_K$, $W_Q$ and of the MLP tend to grow with depth: each has a rank "
    "correlation above 0.",
    origin="paper",
    relation="at least",
    measure=smallest,
    explanation="The paper sees the tendency in two language models; these are three-layer models with a linear MLP. "
    "$W_V$ does as the paper says (a control that holds): of the last layer only the label's row of the update is "
    "read, so that $W_V$ is trained along one direction and its other singular values stay small. $W_K$ and $W_Q$ do "
    "the reverse; three layers without an MLP, after 6000 steps, show little tendency of $W_K$. The $κ₂$ of $W_K$ and "
    "$W_Q$ in the first layer spreads over orders of magnitude, as one singular value is trained to almost 0, hence "
    "ranks are compared. Models and reading were chosen after a first one, the mean growth of $log κ₂$ without an MLP, "
    "had come out undecided after 6000 steps.",
    requires=(),
    controls=(
        Control("$W_V$ alone", measure=lambda case: smallest(case, ("value",)), expected=Verdict.HOLDS),
        Control("$W_Q$ alone", measure=lambda case: smallest(case, ("query",))),
        Control("$W_V$, layers exchanged", measure=lambda case: -smallest(case, ("value",))),
    ),
    cases=condition_population,
    over_seeds=True,
)
