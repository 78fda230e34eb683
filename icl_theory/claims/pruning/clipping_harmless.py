"""P1, harmless: some clipping of the trained weights does as well as none, to one per cent."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate

_MARGIN, _VALIDATION = 0.01, 512


@lru_cache(maxsize=128)
def log_rise(case: Case) -> Estimate:
    """$E$ log(test error clipped / untouched), for the clipping that does best on validation prompts.

    Every layer, module and rate of Y that D = 6 allows is tried on 512 prompts; 2048 others are reported on.
    """
    models = [
        prompt_errors.clipped(case, layer, module, rate)
        for layer in range(case.layers)
        for module in prompt_errors.MODULES
        for rate in prompt_errors.RATES
    ]
    scores = [prompt_errors.log_ratio(case, model, case.training_shots, _VALIDATION).mean() for model in models]
    best = models[int(np.argmin(scores))]
    return prompt_errors.mean(prompt_errors.log_ratio(case, best, case.training_shots, salt=1), "log ratio")


def _first_layer_at_rank_1(case: Case) -> Estimate:
    model = prompt_errors.clipped(case, 0, "attention", 0.75)
    return prompt_errors.mean(prompt_errors.log_ratio(case, model, case.training_shots, salt=1), "log ratio")


CLAIM = Claim(
    source="Y Section 2.1 (finding P1), arXiv:2406.03768v2, weakened, on small models",
    statement=f"Some layer, module and rate $ξ ≥ 0.1$ raises the test error of trained models by at most "
    f"{_MARGIN:.0%}.",
    origin="new",
    relation="at most",
    measure=log_rise,
    predict=lambda case: _MARGIN,
    explanation="Rates 0.1, 0.5 and 0.75 (ranks 5, 3, 1 of $D = 6$) of $W_V$, $W_K$, $W_Q$ and all three in every "
    "layer of the trained three-layer models, each seed with validation prompts to choose on and others to report on, "
    "at the shots of training; geometric mean of the squared error. The paper says more, that clipping enhances the "
    "performance: see clipping_enhances. One-layer models tolerate it as well (a control that holds). The margin was "
    "fixed after seeing the seeds of one exploratory run.",
    controls=(
        Control("one layer", cases=lambda factory: factory.trained_seeds(1), expected=Verdict.HOLDS),
        Control("a gain of 2 %", predict=lambda case: -0.02),
        Control("first layer's attention at rank 1 whatever the validation says", measure=_first_layer_at_rank_1),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
