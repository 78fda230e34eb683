"""Figure 3, modules: is the MLP better conditioned than the attention?"""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.condition_numbers import condition_population
from icl_theory.truncation.conditioning import module_condition_number


def _log_ratios(case: Case) -> np.ndarray:
    """log(κ₂ of the MLP / of the attention) of every layer, each the worst of its matrices."""
    pairs = [
        [module_condition_number(case.model, layer, module) for module in ("mlp", "attention")]
        for layer in range(case.layers)
    ]
    mlp, attention = np.log(pairs).T
    return mlp - attention


def log_ratio(case: Case) -> float:
    """log($κ₂$ of the MLP / of the attention), in the layer that speaks most against the statement."""
    return float(_log_ratios(case).max())


def _exchanged(case: Case) -> float:
    return float((-_log_ratios(case)).max())


CLAIM = Claim(
    source="Y Section 3.4 and Figure 3 (modules), arXiv:2406.03768v2, on small models",
    statement="In every layer the condition number of the MLP is lower than that of the attention.",
    origin="paper",
    relation="at most",
    measure=log_ratio,
    explanation="Three-layer models with a linear MLP of square matrices, so that matrices of one order are "
    "compared; of each module the worst of its matrices. $W_K$, $W_Q$ and the MLP all begin orthogonal ($κ₂ = 1$), so "
    "it is training that sets them apart.",
    requires=(),
    controls=(
        Control("modules exchanged", measure=_exchanged),
        Control("ten thousand times lower", predict=lambda case: -np.log(1e4)),
    ),
    cases=condition_population,
    over_seeds=True,
)
