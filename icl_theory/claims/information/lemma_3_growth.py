"""The sum of Lemma 3 does not grow linearly in depth: every observation of S is worth less than the one before."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.scalar_path import scalar_informations, scalar_layers


def _share(case: Case) -> np.ndarray:
    """$I(W_t; H_s | W_{t-1}) / I(W_1; H_s)$ at $t = 2, 3$."""
    chain = scalar_informations(case)["chain"]
    return chain[1:] / chain[0]


def _alone(case: Case) -> float:
    found = scalar_informations(case)
    return float(found["alone"] / found["chain"][0])


CLAIM = Claim(
    source="new; on the sum in Y Lemma 3, arXiv:2406.03768v2",
    statement="The sum of Lemma 3 need not grow linearly in depth: there are channels with $I(W_t; H_s | W_{t-1}) ≠ "
    "I(W_1; H_s)$.",
    origin="new",
    refutes=True,
    relation="equal",
    measure=_share,
    predict=lambda case: np.ones(2),
    explanation="By quadrature at $D = 1$. $W_{t-1}$ is a function of earlier observations of $S$, so the next adds "
    "less. What grows linearly is the ladder's Gaussian rung, whose priors do not learn from $W_{t-1}$.",
    requires=("cases of its own",),
    controls=(
        Control(
            "a second observation without the first", measure=_alone, predict=lambda case: 1.0, expected=Verdict.HOLDS
        ),
        Control("later observations add nothing", predict=lambda case: np.zeros(2)),
        Control("a third of the first at most", relation="at most", predict=lambda case: np.full(2, 1 / 3)),
    ),
    cases=scalar_layers,
    tolerance=1e-6,
)
