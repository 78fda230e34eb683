"""Training reaches the one-layer optimum, in this very run."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.one_layer_risks import exact_risk, optimal_risk
from icl_theory.models.model import Model
from icl_theory.risk.population import population_risk


def _untrained(case: Case) -> float:
    rng = np.random.default_rng(case.seed)
    value, key, query = 0.1 * rng.standard_normal((3, 1, case.model.token_dim, case.model.token_dim))
    return population_risk(Model(value, key, query), case.task, shots=case.training_shots).value


CLAIM = Claim(
    source="Ahn et al. 2023 Theorem 1, arXiv:2306.00297v2, as a statement about training",
    statement="Every trained one-layer model comes within 2 % of the optimal population risk.",
    origin="new",
    relation="at most",
    measure=exact_risk,
    predict=lambda case: 1.02 * optimal_risk(case),
    trivial=lambda case: case.task.zero_risk,
    explanation="Exact population risk of every member of the ensemble that was trained during this run.",
    controls=(
        Control("untrained weights", measure=_untrained),
        Control("within -1 %", predict=lambda case: 0.99 * optimal_risk(case)),
        Control(
            "tested with half the shots",
            measure=lambda c: population_risk(c.model, c.task, shots=c.training_shots // 2).value,
        ),
    ),
    cases=lambda factory: factory.trained(1),
)
