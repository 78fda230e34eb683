"""App. B.3 and Remark 5: clipping one matrix acts less steadily in a shallow layer than in a deep one."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors
from icl_theory.models.options import Module

_RATE = 0.5


@lru_cache(maxsize=512)
def log_spread(case: Case, layer: int, module: Module) -> float:
    """log of the standard deviation over prompts of log(error clipped / untouched)."""
    ratio = prompt_errors.log_ratio(case, prompt_errors.clipped(case, layer, module, _RATE), case.training_shots)
    return float(np.log(ratio.std(ddof=1)))


def difference(case: Case, deep: int = -1, shallow: int = 0) -> float:
    """log(spread, deep layer clipped / spread, shallow one), for the matrix that speaks most against the
    statement."""
    modules = ("value", "key", "query")
    return max(
        log_spread(case, deep % case.layers, module) - log_spread(case, shallow % case.layers, module)
        for module in modules
    )


CLAIM = Claim(
    source="Y App. B.3 and Remark 5 (second half), arXiv:2406.03768v2, on small models",
    statement=f"Clipping $W_V$, $W_K$ or $W_Q$ alone at $ξ = {_RATE}$ changes the error less evenly over prompts in "
    "the first layer than in the last.",
    origin="paper",
    relation="at most",
    measure=difference,
    explanation="The paper calls the impact on shallow layers less steady and gives no measure of it; ours is the "
    "standard deviation over 2048 common prompts of log(error clipped / untouched). Trained three-layer models.",
    controls=(
        Control("layers exchanged", measure=lambda case: difference(case, 0, -1)),
        Control("a thousand times less evenly", predict=lambda case: -np.log(1e3)),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
