"""Section 3.4: is the condition number a guide to the layer that bears clipping?"""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate
from icl_theory.truncation.conditioning import module_condition_number

_RANK = prompt_errors.RATES[0.5]


def _clipped(case: Case) -> np.ndarray:
    """log of the error of every prompt with the attention of one layer at rank 3, shape (L, prompts)."""
    return np.array([prompt_errors.log_errors(case, layer, "attention", _RANK) for layer in range(case.layers)])


def against_the_mean(case: Case, layer: int) -> Estimate:
    """log error with that layer clipped less the mean over all layers, that is, less a layer taken at random."""
    found = _clipped(case)
    return prompt_errors.mean(found[layer] - found.mean(axis=0), "log ratio")


def guided(case: Case) -> Estimate:
    """The layer with the largest condition number."""
    numbers = [module_condition_number(case.model, layer, "attention") for layer in range(case.layers)]
    return against_the_mean(case, int(np.argmax(numbers)))


def _ordered(case: Case, place: int) -> Estimate:
    return against_the_mean(case, int(np.argsort(_clipped(case).mean(axis=1))[place]))


CLAIM = Claim(
    source="Y Section 3.4 (the condition number as a reference for the layer), arXiv:2406.03768v2, on small models",
    statement="Of all layers the one whose attention has the largest condition number bears clipping at $ξ = 0.5$ "
    "better than a layer taken at random.",
    origin="paper",
    relation="at most",
    measure=guided,
    explanation="Trained three-layer models, $κ₂$ the worst of $W_V$, $W_K$, $W_Q$; geometric mean of the squared "
    "error over 2048 prompts with the chosen layer at rank 3 against the mean over the layers. Rate, module and the "
    "comparison with a random layer were fixed before the first run.",
    controls=(
        Control("the layer that in fact bears it best", measure=lambda case: _ordered(case, 0), expected=Verdict.HOLDS),
        Control("the layer that bears it worst", measure=lambda case: _ordered(case, -1)),
        Control("a thousand times better than a random layer", predict=lambda case: -np.log(1e3)),
    ),
    cases=lambda factory: factory.trained_seeds(3),
    over_seeds=True,
)
