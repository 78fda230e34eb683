"""Section 2.2: without pruning, the performance improves with the number of demonstrations."""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate

SHOTS = (0, 4, 10)


@lru_cache(maxsize=512)
def log_errors(case: Case, shots: int) -> np.ndarray:
    """log of the squared error of every prompt; without demonstrations S = 0, and the prediction is 0."""
    if shots > 0:
        return np.log(prompt_errors.own_errors(case, shots))
    stack, w = prompt_errors.moments(case, 1)
    p = prompt_errors.implied(case.model, np.zeros_like(stack))
    return np.log((((p - w) @ case.task.covariance) * (p - w)).sum(-1))


def change(case: Case, shots: tuple[int, ...] = SHOTS) -> Estimate:
    """$E$ log(error with more / with fewer demonstrations), for the step that speaks most against the statement."""
    return prompt_errors.largest([log_errors(case, b) - log_errors(case, a) for a, b in pairwise(shots)], "log ratio")


CLAIM = Claim(
    source="Y Section 2.2 (first statement), arXiv:2406.03768v2, on small models",
    statement="Without pruning the error falls as the demonstrations shown grow from {} to {} to {}.".format(*SHOTS),
    origin="paper",
    relation="at most",
    measure=change,
    explanation="The paper's numbers of shots; geometric mean of the squared error over 2048 prompts, three-layer "
    "models trained at 20 demonstrations. The arithmetic mean at 4 shots is ruled by prompts for which these models "
    "explode, and with a single demonstration the typical error is far above that of none (a control that fails).",
    controls=(
        Control("from no demonstration to one", measure=lambda case: change(case, (0, 1))),
        Control("shots in reverse", measure=lambda case: change(case, SHOTS[::-1])),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
