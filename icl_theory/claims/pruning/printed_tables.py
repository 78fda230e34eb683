"""The paper's printed tables as they stand: do more rows rise than fall, and by more than a row's own error bar?"""

import math

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control

RISES, TIES, FALLS, LARGE = 20, 5, 3, 6
"""Rows of Tables 2 to 8 by the test accuracy after Algorithm 1 and before; rises beyond two standard errors."""


def tail(successes: int, trials: int, chance: float = 0.5) -> float:
    """P(at least so many of the trials), summed."""
    terms = (math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k) for k in range(successes, trials + 1))
    return sum(terms)


def _cases(factory: CaseFactory) -> list[Case]:
    return factory.random(1)[:1]


CLAIM = Claim(
    source="Y Tables 2 to 8 (App. C.5), arXiv:2406.03768v2, the rows as printed",
    statement="Algorithm 1 raises the test accuracy in more rows than it lowers it: sign test below .01.",
    origin="paper",
    relation="at most",
    measure=lambda case: tail(RISES, RISES + FALLS),
    predict=lambda case: 0.01,
    explanation="20 of the 28 rows rise, 5 are equal, 3 fall. Rows that share a model, a data set and a test set count "
    "as independent here, which they are not; and only 6 rises exceed two binomial standard errors of their own row, "
    "too few for a majority (a control that fails). The numbers are counts of what is printed; nothing was run again.",
    requires=("cases of its own",),
    controls=(
        Control(
            "rises beyond two standard errors, of all rows", measure=lambda case: tail(LARGE, RISES + TIES + FALLS)
        ),
        Control("rises and falls exchanged", measure=lambda case: tail(FALLS, RISES + FALLS)),
    ),
    cases=_cases,
)
