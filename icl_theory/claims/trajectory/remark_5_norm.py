"""Remark 5, steadiness of the norm: do edits of deep layers move the global norm of the implicit gradients less?"""

from functools import lru_cache
from typing import Any

import jax
import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors
from icl_theory.claims.quantities.edited_models import EDITS, edited
from icl_theory.core.estimate import Estimate
from icl_theory.core.numerics import float64
from icl_theory.descent.trajectory import trajectory_from_moment
from icl_theory.models.checked import checked
from icl_theory.models.model import Model
from icl_theory.models.programs import program

_PROMPTS = 64


@program
def _norms(model: Model, stack: Any) -> Any:
    return jax.vmap(lambda s: (trajectory_from_moment(model, s).gradient ** 2).sum())(stack) ** 0.5


@float64
def global_norms(model: Model, stack: np.ndarray) -> np.ndarray:
    """sqrt(Σ_t ||G_t||_F²) for every S of the stack, shape (prompts,)."""
    return _norms(checked(model), stack)


@lru_cache(maxsize=512)
def log_changes(case: Case, name: str, layer: int) -> np.ndarray:
    """log of the root mean square relative change of the global norm, one entry per random edit."""
    rng, size = np.random.default_rng([case.seed, 6]), case.model.token_dim
    stack, _ = prompt_errors.moments(case, case.training_shots, _PROMPTS)
    before, changes = global_norms(case.model, stack), []
    for direction in rng.standard_normal((EDITS, size, size)):
        after = global_norms(edited(case, name, layer, direction), stack)
        changes.append(0.5 * np.log(((after / before - 1) ** 2).mean()))
    return np.array(changes)


def measure(case: Case, deep: int = -1, shallow: int = 0) -> Estimate:
    """log of (change by an edit of the last layer / of the first): the module that speaks most against the claim."""
    rows = [
        log_changes(case, name, deep % case.layers) - log_changes(case, name, shallow % case.layers)
        for name in ("value", "key", "query")
    ]
    return prompt_errors.largest(rows, "log ratio")


CLAIM = Claim(
    source="Y Remark 5 (second half, on the norm), arXiv:2406.03768v2, for trained models and edits of one size",
    statement="A random edit of 1 % of $W_V$, $W_K$ or $W_Q$ moves the global norm of $G_1, ..., G_L$ less in the last "
    "layer than in the first.",
    origin="paper",
    relation="at most",
    measure=measure,
    explanation="Global norm $sqrt(Σ_t ||G_t||²)$; root mean square of its relative change over 64 prompts, for 16 "
    "random edits of each matrix of the trained three-layer models, the same in both layers. That an edit of layer $k$ "
    "leaves the $G_t$ before it alone is exact (span_of_change); how much it moves the others is not said by counting "
    "them.",
    controls=(
        Control("layers exchanged", measure=lambda case: measure(case, 0, -1)),
        Control("a hundred thousand times less", predict=lambda case: -np.log(1e5)),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
