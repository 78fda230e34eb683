"""Readout sign, trained models: what the minus readout is worth when training is free to use either."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors
from icl_theory.descent.implied_weights import quadratic_loss
from icl_theory.models.model import Model

_PROMPTS, _MOST = 4096, 0.2


def pairs(factory: CaseFactory) -> list[Case]:
    """One case per seed with two models in it: the first three layers read with a minus, the last three with a plus.

    Both have the same initial weights, but for the sign of the label's entry, and the same prompts.
    """
    cases = factory.trained_seeds(factory.depth)
    if not cases:
        return []
    other = factory.ensemble(factory.depth, readout="plus").models
    both = []
    for seed, case in enumerate(cases):
        own, plus = case.model, other.member(seed)
        stacks = (np.concatenate([getattr(own, n), getattr(plus, n)]) for n in ("value", "key", "query"))
        both.append(case.with_model(Model.create(*stacks), "with a minus and with a plus"))
    return both


@lru_cache(maxsize=64)
def risks(case: Case, shown: int = 0) -> tuple[float, float]:
    """Test risk of the model read with a minus and of the one read with a plus, on the same prompts.

    `shown`: another number of demonstrations for the first of them.
    """
    w, half = case.model, case.layers // 2
    later = Model(w.value[half:], w.key[half:], w.query[half:])
    # `implied` reads with a minus: with a plus the prediction has the other sign.
    return _risk(case, w.first_layers(half), 1.0, shown or case.training_shots), _risk(
        case, later, -1.0, case.training_shots
    )


def _risk(case: Case, model: Model, sign: float, shots: int) -> float:
    stack, tasks = prompt_errors.moments(case, shots, _PROMPTS)
    return float(quadratic_loss(sign * prompt_errors.implied(model, stack), tasks, case.task.covariance).mean())


def measure(case: Case, shown: int = 0) -> float:
    """log of the test risk with a minus over that with a plus; what is beyond ± 0.2 counts as ± 0.2."""
    minus, plus = risks(case, shown)
    return float(np.clip(np.log(minus / plus), -_MOST, _MOST))


CLAIM = Claim(
    source="new; Y Section 3.1 reads plus the label slot, arXiv:2406.03768v2, on small models",
    statement="Three-layer models trained to be read with a minus reach a lower test risk than those read with a plus.",
    origin="new",
    relation="at most",
    measure=measure,
    explanation="Both readouts trained from the same start on the same prompts, 4096 test prompts each. The advantage "
    "is small here, about 7 % at $d_x = 5$ and 20 demonstrations. About one model in five that is read with a plus "
    "ends in a worse solution, and a few of them would rule the mean: hence the limit of 0.2, set after seeing seeds 0 "
    "to 14. With a plus the residuals cannot be what the demonstrations carry from layer to layer (readout_sign), but "
    "there are other ways to descend.",
    controls=(
        Control("the two exchanged", measure=lambda case: -measure(case)),
        Control("half of the demonstrations for the minus", measure=lambda c: measure(c, c.training_shots // 2)),
    ),
    cases=pairs,
    over_seeds=True,
)
