"""Algorithm 1 on small trained models: does the clipping rate it finds lower the risk on untouched prompts?"""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.core.estimate import Estimate
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.models.options import Module
from icl_theory.truncation.clipping_search import search_clipping_rate

_GAIN, _PROMPTS, _TOP = 0.01, 1024, 2


@lru_cache(maxsize=64)
def gain(case: Case, module: Module = "attention", prompts: int = _PROMPTS) -> Estimate:
    """Test gain of the chosen layer and rank over the untouched model's test loss, with the delta method's error."""
    found = search_clipping_rate(
        case.model,
        case.task,
        shots=case.training_shots,
        module=module,
        top=min(_TOP, case.layers),
        prompts=prompts,
        key=case.seed,
    )
    before, after = found.test_losses
    loss, share = before.mean(), found.chosen.test_gain.value / found.test_loss.value
    # Gain and loss are taken on the same prompts: the loss has an error too, and the two go together.
    error = Estimate.from_samples(before - after - share * before).stderr / loss
    note = f"layer {found.chosen.layer + 1}, $ξ = {found.chosen.rate:.2g}$"
    return Estimate(share, float(error), prompts, "unbiased", "share of the loss", note)


def controlled(factory: CaseFactory) -> list[Case]:
    """The one-layer optimum with a second, smaller singular direction in W_V that reads x where y is wanted.

    W_V = √2 s u₁ e_yᵀ + s u₂ e_1ᵀ with u₁, u₂ = (e_1 ± e_y)/√2: its label row is s e_y - (s/√2) e_1, and cutting the
    smaller singular value gives back the optimum's row s e_y.
    """
    result = []
    for case in factory.constructed(1)[1:]:
        model, _ = one_layer_optimum(case.task, shots=case.training_shots)
        size, value = model.value[0, -1, -1], np.zeros((1, *2 * (case.task.token_dim,)))
        value[0, 0, -1] = value[0, -1, -1] = size
        value[0, 0, 0], value[0, -1, 0] = size / np.sqrt(2), -size / np.sqrt(2)
        result.append(case.with_model(model.replace(value=value), "a singular direction damaged"))
    return result


def gain_control(case: Case) -> Estimate:
    """The same for W_V of the damaged optimum; one model, so that more prompts take the place of many seeds."""
    return gain(case, "value", 4 * _PROMPTS)


def _lost(gained: Estimate) -> Estimate:
    return replace(gained, value=-gained.value)


CLAIM = Claim(
    source="Y Section 3.4, Algorithm 1 (App. C.2) and Tables 2 to 8 (App. C.5), arXiv:2406.03768v2, on small models",
    statement=f"Algorithm 1 lowers the test risk of trained models by at least {_GAIN:.0%}.",
    origin="paper",
    relation="at least",
    measure=gain,
    predict=lambda case: _GAIN,
    explanation="The paper calls the effect visible; its tables have 20 rises, 5 ties and 3 falls of the accuracy. "
    f"The number {_GAIN:.0%} for visible is ours. Trained three-layer models, $W_V$, $W_K$ and $W_Q$ of the deepest of "
    "the two layers with the largest condition numbers, every rank tried on 1024 validation prompts, the chosen one "
    "reported on 1024 others. Models trained on ever fresh prompts are near their optimum, where truncation has "
    "nothing to repair. A damaged singular direction is found and removed, and little harm is done either way "
    "(controls that hold).",
    controls=(
        Control(
            "a singular direction of the optimum damaged",
            cases=controlled,
            measure=gain_control,
            over_seeds=False,
            expected=Verdict.HOLDS,
        ),
        Control("at most 5 % lost", predict=lambda case: -0.05, expected=Verdict.HOLDS),
        Control(
            "a loss for a gain, direction damaged",
            cases=controlled,
            measure=lambda case: _lost(gain_control(case)),
            over_seeds=False,
        ),
        Control(
            "half of the risk gained, direction damaged",
            cases=controlled,
            measure=gain_control,
            predict=lambda case: 0.5,
            over_seeds=False,
        ),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
