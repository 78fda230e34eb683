"""App. B.6, an earlier layer dropped: the later ones change through M, and an isotropic rung can rise."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.core.estimate import Estimate
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.rung_samples import without_path
from icl_theory.information.ladder.rungs import mean_estimate
from icl_theory.information.ladder.setting import Setting
from icl_theory.models.model import Model

_SIZE = 9.0  # of the first layer's W_V in the balanced models


@lru_cache(maxsize=64)
def later_layers(case: Case) -> Case:
    """The case without its first layer."""
    w = case.model
    return case.with_model(Model(w.value[1:], w.key[1:], w.query[1:]), "first layer dropped")


@lru_cache(maxsize=64)
def rungs(case: Case) -> dict[str, np.ndarray]:
    """The "isotropic" and the "gaussian" rung of every run, in nats; equal seeds give equal demonstrations."""
    setting = Setting(case.model, case.task, case.task_vector, case.ladder_demonstrations, case.ladder_shots)
    return without_path(setting, Batches(setting, case.seed, case.samples))


def change(case: Case, name: str, sign: float = 1.0) -> Estimate:
    """Rung after minus rung before, in nats, run by run on the same demonstrations."""
    return mean_estimate(sign * (rungs(later_layers(case))[name] - rungs(case)[name]), "unbiased", "nats")


def balanced(case: Case) -> Case:
    """Two layers; the first makes M ill-conditioned, and the second undoes that: A ≈ I, B ≈ I only behind the first.

    W_V^1 = 9 P with P the projection on three coordinates, W_K^1 = W_Q^1 = I; with M̄ = I + 9 P Σ_w the second layer has
    W_V = M̄^{-1}, W_K = W_Q = M̄^{-1}.
    """
    size = case.model.token_dim
    identity, value = np.eye(size), np.diag(_SIZE * (np.arange(size) < size // 2))
    inverse = np.linalg.inv(identity + value @ case.task.token_covariance(case.task_vector))
    model = Model.create(np.stack([value, inverse]), np.stack([identity, inverse]), np.stack([identity, inverse]))
    return case.with_model(model, "balanced by its first layer", "constructed")


def _cases(factory: CaseFactory) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    models = [*factory.random(factory.depth)[:some], *factory.trained(factory.depth)[:some]]
    return [*models, *(balanced(case) for case in factory.random(1)[:some])]


def measure(case: Case) -> Estimate:
    """Isotropic rung without the first layer minus the one with it, in nats."""
    return change(case, "isotropic")


CLAIM = Claim(
    source="Y App. B.6, arXiv:2406.03768v2, read for the bounds when an earlier layer is dropped",
    statement="There are models for which dropping the first layer raises the isotropic rung.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=measure,
    explanation="Random and trained three-layer models, and models of two layers whose first one makes the gradients "
    "of the second isotropic. One non-negative term goes, but those of later layers change with $M$: what the rung "
    "pays for unequal directions may be more without the layer. The Gaussian rung, which is free of invertible "
    "weights, does fall (a control).",
    controls=(
        Control("Gaussian rung", measure=lambda case: change(case, "gaussian"), expected=Verdict.HOLDS),
        Control("Gaussian rung, layer added", measure=lambda case: change(case, "gaussian", -1.0)),
        Control(
            "Gaussian rung, ten nats lower at least",
            measure=lambda case: change(case, "gaussian"),
            predict=lambda case: -10.0,
        ),
    ),
    cases=_cases,
)
