"""At L = 1 truncation never raises the Gaussian rung: the truncated output is a linear image of the full one."""

import numpy as np

from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import CLIP, LADDER_DEMONSTRATIONS, LADDER_SHOTS, Case, Workshop
from icl_theory.information.ladder import bound_ladder
from icl_theory.truncation import truncate_weights

_PLANS = (("value", 5), ("value", 2), ("query", 4), ("key", 3), ("attention", 4))


def _divergence(case: Case, module: str, rank: int, shots: int) -> np.ndarray:
    weights = truncate_weights(case.weights, layer=0, module=module, rank=rank)
    ladder = bound_ladder(
        weights,
        case.task,
        demonstrations=LADDER_DEMONSTRATIONS,
        shots=shots,
        clip=CLIP,
        samples=case.samples,
        key=case.seed,
        task_vector=case.task_vector,
        pairs=2,  # the sandwich is not used here
    )
    return ladder.terms["divergence"]


def measure(case: Case, shots: int = LADDER_SHOTS) -> np.ndarray:
    """KL(N(G, C) || prior) of every run, for several truncations, in nats."""
    return np.stack([_divergence(case, module, rank, shots) for module, rank in _PLANS])


def predict(case: Case) -> np.ndarray:
    """The same of the untouched model, on the same draws."""
    return case.ladder().terms["divergence"]


def _one_layer(workshop: Workshop) -> list[Case]:
    some = (workshop.profile.seeds + 1) // 2
    return [*workshop.random(1)[:some], *workshop.constructed(1), *workshop.trained_cases(1)[:some]]


CLAIM = Claim(
    label="truncation_information",
    source="new",
    statement="At L = 1 truncating W_V, W_Q or W_K never raises the Gaussian rung: KL(N(G, C) || prior) falls.",
    printed="new",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="Data processing, checked run by run and therefore without sampling error: five truncations of each "
    "random and trained model against the untouched one on the same draws.",
    controls=(
        Control("twice the shots for the truncated model", {"measure": lambda case: measure(case, 2 * LADDER_SHOTS)}),
        Control("untouched model below the truncated one", {"measure": predict, "predict": measure}),
    ),
    cases=_one_layer,
    tolerance=1e-9,
)
