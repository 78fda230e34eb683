"""P3: does a model collapse further with more shots when a shallow layer is clipped?"""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities import prompt_errors
from icl_theory.claims.quantities.prompt_errors import log_errors
from icl_theory.core.estimate import Estimate

FEW, MANY, RATE = 10, 40, 0.5  # the models are trained at 20 shots


def collapse(case: Case, shots: int) -> Estimate:
    """E log(squared error with the first layer's W_V, W_K, W_Q clipped / without clipping), with that many shots."""
    before = np.log(prompt_errors.own_errors(case, shots))
    return prompt_errors.mean(
        log_errors(case, 0, "attention", prompt_errors.rank_of(case, RATE), shots) - before, "log ratio"
    )


CLAIM = Claim(
    source="Y Section 2.2 and Remark 6 (ii) (finding P3), arXiv:2406.03768v2, on small models",
    statement=f"Clipping the first layer's $W_V$, $W_K$, $W_Q$ at $ξ = {RATE}$ multiplies the error by more at {MANY} "
    f"shots than at {FEW}.",
    origin="paper",
    relation="at least",
    measure=lambda case: collapse(case, MANY),
    predict=lambda case: collapse(case, FEW),
    explanation="Mean log ratio of squared errors over 2048 prompts, for each trained three-layer model. The paper "
    "says it of the rate at which accuracy collapses, and of shots that are added up; here they are averaged. The "
    "errors of the clipped model fall with more shots, and faster than those of the untouched one. One-layer models, "
    "whose clipped error has a floor, do collapse further (a control that holds).",
    controls=(
        Control("one layer", cases=lambda factory: factory.trained_seeds(1), expected=Verdict.HOLDS),
        Control(
            "one layer, a hundred times as much",
            predict=lambda case: collapse(case, FEW).value + np.log(100),
            cases=lambda factory: factory.trained_seeds(1),
        ),
        Control(
            "one layer, shots exchanged",
            measure=lambda case: collapse(case, FEW),
            predict=lambda case: collapse(case, MANY),
            cases=lambda factory: factory.trained_seeds(1),
        ),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
