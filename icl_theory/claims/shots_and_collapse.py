"""P3: does a model collapse further with more shots when a shallow layer is clipped?"""

import numpy as np

from icl_theory.claims import prompts
from icl_theory.claims.base import Claim, Control, Verdict
from icl_theory.claims.cases import Case
from icl_theory.claims.deep_layers_tolerate import log_errors
from icl_theory.estimate import Estimate

FEW, MANY, RATE = 10, 40, 0.5  # the models are trained at 20 shots


def collapse(case: Case, shots: int) -> Estimate:
    """E log(squared error with the first layer's W_V, W_K, W_Q clipped / without clipping), with that many shots."""
    before = np.log(prompts.errors(case, case.weights, shots))
    return prompts.mean(log_errors(case, 0, "attention", prompts.RATES[RATE], shots) - before, "log ratio")


CLAIM = Claim(
    label="shots_and_collapse",
    source="Y Section 2 (finding P3), arXiv:2406.03768v2, on small models in the mean convention",
    statement=f"Clipping the first layer's W_V, W_K, W_Q at ξ = {RATE} multiplies the error by more at {MANY} shots "
    f"than at {FEW}.",
    printed="new",
    relation="at least",
    measure=lambda case: collapse(case, MANY),
    predict=lambda case: collapse(case, FEW),
    explanation="Mean log ratio of squared errors over 2048 prompts, for each trained three-layer model. The errors of "
    "the clipped model fall with more shots, and faster than those of the untouched one. One-layer models, whose "
    "clipped error has a floor, do collapse further (a control that holds).",
    controls=(
        Control("one layer", {"cases": lambda workshop: workshop.trained_cases(1)}, Verdict.HOLDS),
        Control(
            "one layer, shots exchanged",
            {
                "measure": lambda case: collapse(case, FEW),
                "predict": lambda case: collapse(case, MANY),
                "cases": lambda workshop: workshop.trained_cases(1),
            },
        ),
    ),
    cases=lambda workshop: workshop.trained_cases(3),
)
