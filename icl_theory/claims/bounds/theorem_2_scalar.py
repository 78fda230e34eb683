"""Theorem 2 as printed at D = 1, the one case in which its hypothesis can hold: a certified counterexample.

Y Section 3.1 takes ℓ continuous, and moments must exist for the repaired theorem to say anything. So the data are
bounded, log h² is uniform on [0, 50], and the loss is 0 in a window of log h² above log|w|, 1 away from it, with ramps
between.
"""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.scalar_counterexample import (
    LENGTH,
    N,
    certified_bound,
    certified_gap,
    printed,
    repaired,
    simulate,
)
from icl_theory.core.estimate import Estimate
from icl_theory.models.model import Model
from icl_theory.tasks.linear_regression import LinearRegression


def cases(factory: CaseFactory) -> list[Case]:
    """The same one-dimensional model under several seeds."""
    one = np.ones((1, 1, 1))
    model, task = Model(one, one, one), LinearRegression(1)
    empty = np.zeros(1)
    return [
        Case(
            f"D = 1, seed {i}",
            "constructed",
            1000 * factory.seed + i,
            model,
            task,
            empty,
            np.ones((N, 1)),
            1,
            factory.profile.scalar_samples,
        )
        for i in range(2)
    ]


def _gap(case: Case, length: float = LENGTH) -> Estimate:
    return simulate(case.seed, case.samples, length).gap


def _printed(case: Case, length: float = LENGTH) -> Estimate:
    return printed(simulate(case.seed, case.samples, length))


_TAME = 0.1

CLAIM = Claim(
    source="Y Theorem 2 at $D = 1$, arXiv:2406.03768v2",
    statement="$gap ≤ sqrt((R²/N) E[log(||ΔW||² + C) - log C])$ at $D = 1$, where $C > 0$ can hold.",
    origin="paper",
    relation="at most",
    measure=certified_gap,
    predict=certified_bound,
    trivial=lambda case: 1.0,
    explanation="$log h²$ is uniform on [0, 50], $N = 5$, $b = 1$, and the loss is continuous: 0 in a window of width "
    "3 above $log|w|$, 1 elsewhere, with ramps of 1/4. Printed right side .1156 < gap .140 < repaired .834 < 1, what "
    "holds trivially: the printed order of expectation and logarithm makes the right side smaller than what the proof "
    "gives. Both numbers shown are certificates, Hoeffding's at 1e-9: one below the gap, one above the right side.",
    requires=("cases of its own",),
    controls=(
        Control(
            "tame data, $log h²$ within 0.1",
            measure=lambda c: _gap(c, _TAME),
            predict=lambda c: _printed(c, _TAME),
            expected=Verdict.HOLDS,
        ),
        Control(
            "expectation inside the logarithm, as the proof gives it",
            measure=_gap,
            predict=lambda c: repaired(simulate(c.seed, c.samples)),
            expected=Verdict.HOLDS,
        ),
        Control("printed bound raised by a tenth", predict=lambda case: 1.1 * certified_bound(case)),
        Control(
            "tame data, gap and bound exchanged",
            measure=lambda c: _printed(c, _TAME),
            predict=lambda c: _gap(c, _TAME),
        ),
    ),
    cases=cases,
)
