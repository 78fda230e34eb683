"""Remark 5, steadiness: do edits of deep layers move the prediction less than edits of shallow ones?"""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities import prompt_errors
from icl_theory.claims.quantities.edited_models import EDITS, edited
from icl_theory.core.estimate import Estimate

_PROMPTS = 512


@lru_cache(maxsize=512)
def log_changes(case: Case, name: str, layer: int) -> np.ndarray:
    """log of the root mean square change of the prediction, one entry per random edit."""
    rng, size = np.random.default_rng([case.seed, 5]), case.model.token_dim
    stack, _ = prompt_errors.moments(case, case.training_shots, _PROMPTS)
    before, changes = prompt_errors.implied(case.model, stack), []
    for direction in rng.standard_normal((EDITS, size, size)):
        moved = prompt_errors.implied(edited(case, name, layer, direction), stack) - before
        changes.append(0.5 * np.log(np.einsum("kd,de,ke->k", moved, case.task.covariance, moved).mean()))
    return np.array(changes)


def measure(case: Case, names: tuple[str, ...] = ("value", "key", "query")) -> Estimate:
    """log of (change by an edit of the last layer / of the first): the module that speaks most against the claim."""
    last = case.layers - 1
    return prompt_errors.largest([log_changes(case, n, last) - log_changes(case, n, 0) for n in names], "log ratio")


def _exchanged(case: Case) -> Estimate:
    return prompt_errors.mean(log_changes(case, "value", 0) - log_changes(case, "value", case.layers - 1), "log ratio")


CLAIM = Claim(
    source="Y Remark 5 (second half, on the performance), arXiv:2406.03768v2, for trained models and edits of one size",
    statement="A random edit of 1 % of $W_V$, $W_K$ or $W_Q$ moves the prediction less in the last layer than in the "
    "first.",
    origin="paper",
    relation="at most",
    measure=measure,
    explanation="The paper speaks of a steadier influence on the generalization performance without a measure of it; "
    "ours is the size of the change of the prediction. 16 random edits of each matrix of the trained three-layer "
    "models, the same in both layers; root mean square change of the prediction over 512 prompts. It is $W_K$ that "
    "speaks against it.",
    controls=(
        Control("at most ten times as much", predict=lambda case: np.log(10.0), expected=Verdict.HOLDS),
        Control("$W_K$ only", measure=lambda case: measure(case, ("key",))),
        Control("$W_V$ only, layers exchanged", measure=_exchanged),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
