"""P2: a deep layer tolerates heavy clipping better than a shallow one."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors
from icl_theory.claims.quantities.prompt_errors import log_errors
from icl_theory.core.estimate import Estimate

_HEAVY = (0.5, 0.75)


def measure(case: Case, deep: int = -1, shallow: int = 0) -> Estimate:
    """$E$ log(error, deep layer clipped) - $E$ log(error, shallow one clipped), for the worst module and rate."""
    rows = [
        log_errors(case, deep % case.layers, module, prompt_errors.rank_of(case, rate))
        - log_errors(case, shallow, module, prompt_errors.rank_of(case, rate))
        for module in prompt_errors.MODULES
        for rate in _HEAVY
    ]
    return prompt_errors.largest(rows, "log ratio")


CLAIM = Claim(
    source="Y Section 2.1 (finding P2), arXiv:2406.03768v2, on small models",
    statement="Clipping $W_V$, $W_K$, $W_Q$ or all three at $ξ = 0.5$ or 0.75 harms less in the last layer than in the "
    "first.",
    origin="paper",
    relation="at most",
    measure=measure,
    explanation="Geometric mean of the squared error over 2048 common prompts, for each trained three-layer model; "
    "the record shows the module and rate that speak most against it. The paper's models have 28 and 32 layers, of "
    "which it compares the first two with the last two.",
    controls=(
        Control("layers exchanged", measure=lambda case: measure(case, 0, case.layers - 1)),
        Control("a hundred thousand times less", predict=lambda case: -np.log(1e5)),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
