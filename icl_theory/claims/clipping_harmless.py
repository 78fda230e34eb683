"""P1: at every depth some clipping of the trained weights does at least as well as none, to two per cent."""

from functools import lru_cache

import numpy as np

from icl_theory.claims import prompts
from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import TRAINING_SHOTS, Case, Workshop
from icl_theory.estimate import Estimate
from icl_theory.truncation import truncate_weights
from icl_theory.weights import AttentionWeights

_MARGIN, _VALIDATION = 0.02, 512


@lru_cache(maxsize=64)
def relative_rise(case: Case) -> Estimate:
    """(risk clipped - risk) / risk on test prompts, for the clipping that does best on validation prompts.

    Every layer, module and rate of Y that D = 6 allows is tried on 512 prompts; 2048 others are reported on.
    """
    models = [
        truncate_weights(case.weights, layer=layer, module=module, rank=rank)
        for layer in range(case.layers)
        for module in prompts.MODULES
        for rank in prompts.RATES.values()
    ]
    validation = [prompts.errors(case, model, TRAINING_SHOTS, _VALIDATION).mean() for model in models]
    return _rise(case, models[int(np.argmin(validation))])


def _rise(case: Case, model: AttentionWeights) -> Estimate:
    before = prompts.errors(case, case.weights, TRAINING_SHOTS, salt=1)
    after = prompts.errors(case, model, TRAINING_SHOTS, salt=1)
    return prompts.mean((after - before) / before.mean(), "share of the risk")


def _first_layer_at_rank_1(case: Case) -> Estimate:
    return _rise(case, truncate_weights(case.weights, layer=0, module="attention", rank=1))


def trained(workshop: Workshop) -> list[Case]:
    """Trained models with one and three layers."""
    return [*workshop.trained_cases(1), *workshop.trained_cases(3)]


CLAIM = Claim(
    label="clipping_harmless",
    source="Y Section 2 (finding P1), arXiv:2406.03768v2, on small models",
    statement=f"Some layer, module and rate ξ ≥ 0.1 raises the test risk of a trained model by at most {_MARGIN:.0%}.",
    printed="new",
    relation="at most",
    measure=relative_rise,
    predict=lambda case: _MARGIN,
    explanation="Rates 0.1, 0.5 and 0.75 (ranks 5, 3, 1 of D = 6) of W_V, W_K, W_Q and all three in every layer; "
    "chosen on validation prompts, reported on others. That clipping improves a model trained on "
    "fresh data is not found: a gain of two per cent is a control that fails.",
    controls=(
        Control("a gain of 2 %", {"predict": lambda case: -_MARGIN}),
        Control("first layer's attention at rank 1 whatever the validation says", {"measure": _first_layer_at_rank_1}),
    ),
    cases=trained,
)
