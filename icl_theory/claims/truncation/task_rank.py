"""Tasks of low rank: the key-query product has their rank, and truncating it to that rank costs nothing."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.risk.one_layer import one_layer_risk
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.truncation.module_truncation import ModuleTruncations

DIM, RANK = 10, 3
_MARGIN, _STEPS = 0.01, 600


@lru_cache(maxsize=1)
def task() -> LinearRegression:
    """w in the first three of ten dimensions."""
    return LinearRegression(DIM, task_covariance=np.diag(np.arange(DIM) < RANK).astype(float), noise_std=0.5)


def cases(factory: CaseFactory) -> list[Case]:
    """One-layer models trained on that task."""
    return factory.population(1, task=task(), shots=20, steps=_STEPS)


def rise(case: Case, rank: int = RANK) -> float:
    """Relative rise of the exact risk when $W_Kᵀ W_Q$ is truncated to the rank of the tasks."""
    cuts = ModuleTruncations(case.model, layer=0, module="key_query")
    after, before = (one_layer_risk(cuts[r], case.task, case.training_shots) for r in (rank, len(cuts) - 1))
    return after / before - 1


def spectral_gap(case: Case) -> float:
    """$σ_4 / σ_3$ of $W_Kᵀ W_Q$."""
    values = np.linalg.svd(case.model.key[0].T @ case.model.query[0], compute_uv=False)
    return float(values[RANK] / values[RANK - 1])


CLAIM = Claim(
    source="new; on Y Section 2 (arXiv:2406.03768v2): what low rank can mean",
    statement=f"For tasks of rank {RANK} in {DIM} dimensions truncating $W_Kᵀ W_Q$ of a trained layer to rank {RANK} "
    f"raises the exact risk by at most {_MARGIN:.0%}.",
    origin="new",
    relation="at most",
    measure=rise,
    predict=lambda case: _MARGIN,
    explanation=f"One-layer models trained for {_STEPS} steps at 20 demonstrations with label noise 0.5. The spectrum "
    "shows the rank of the tasks: its fourth singular value is below a tenth of the third (a control that holds). "
    "Below the rank of the tasks the risk rises at once (a control that fails). Margin and steps were fixed before the "
    "first run of the claim, after one look at a figure of models with other seeds.",
    requires=("cases of its own",),
    controls=(
        Control(
            "the fourth singular value a tenth of the third at most",
            measure=spectral_gap,
            predict=lambda case: 0.1,
            expected=Verdict.HOLDS,
        ),
        Control("rank 2", measure=lambda case: rise(case, RANK - 1)),
        Control("a gain of 5 %", predict=lambda case: -0.05),
        Control(
            "the fourth singular value a third of the third at least",
            measure=lambda case: -spectral_gap(case),
            predict=lambda case: -1 / 3,
        ),
    ),
    cases=cases,
    over_seeds=True,
)
