"""At L = 1 truncation never raises the Gaussian rung: the truncated output is a linear image of the full one."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.rung_samples import divergences
from icl_theory.information.ladder.setting import Setting
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.truncation.module_truncation import truncate_weights

_PLANS: tuple[tuple[Module, int], ...] = (("value", 5), ("value", 2), ("query", 4), ("key", 3), ("attention", 4))


@lru_cache(maxsize=8)
def _batches(case: Case, shots: int) -> Batches:
    """The draws of a case, kept for the next weights."""
    setting = Setting(case.model, case.task, case.task_vector, case.ladder_demonstrations, shots)
    return Batches(setting, case.seed, case.samples)


def _divergence(case: Case, model: Model, shots: int) -> np.ndarray:
    """Per-run divergence; the seed alone decides the draws, so all weights see the same demonstrations and noise."""
    setting = Setting(model, case.task, case.task_vector, case.ladder_demonstrations, shots)
    return divergences(setting, _batches(case, shots))


def _plans(case: Case) -> list[tuple[Module, int]]:
    return [(module, rank) for module, rank in _PLANS if rank <= case.model.token_dim]


@lru_cache(maxsize=32)
def measure(case: Case, shots: int = 0) -> np.ndarray:
    """$KL(N(G, C) || prior)$ of every run, for several truncations, in nats."""
    cut = [truncate_weights(case.model, layer=0, module=module, rank=rank) for module, rank in _plans(case)]
    return np.stack([_divergence(case, model, shots or case.ladder_shots) for model in cut])


def predict(case: Case) -> np.ndarray:
    """The same of the untouched model, on the same draws, once for every truncation."""
    untouched = _divergence(case, case.model, case.ladder_shots)
    return np.broadcast_to(untouched, (len(_plans(case)), len(untouched)))


def _one_layer(factory: CaseFactory) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    return [*factory.random(1)[:some], *factory.constructed(1), *factory.trained(1)[:some]]


CLAIM = Claim(
    source="new",
    statement="At $L = 1$ truncating $W_V$, $W_Q$ or $W_K$ never raises the Gaussian rung: $KL(N(G, C) || prior)$ "
    "falls.",
    origin="new",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="Data processing, checked run by run and therefore without sampling error: five truncations of each "
    "random and trained model against the untouched one on the same draws.",
    controls=(
        Control("twice the shots for the truncated model", measure=lambda case: measure(case, 2 * case.ladder_shots)),
        Control("untouched model below the truncated one", measure=predict, predict=measure),
    ),
    cases=_one_layer,
    tolerance=1e-9,
)
