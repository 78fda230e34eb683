"""Depth: L observations of S through invertible layers are worth ½ d_S log(1 + L b/(N-b)), not L times a single one."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.core.estimate import Estimate
from icl_theory.information.ladder.large_sample_limit import observation_information
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.rung_samples import path_saving
from icl_theory.information.ladder.rungs import mean_estimate
from icl_theory.information.ladder.setting import Setting
from icl_theory.noise.support import support_dimension

_FLOOR = 1e-24  # ε², far below any direction: the maps are then used as they are, and do not cancel


@lru_cache(maxsize=32)
def saved(case: Case) -> Estimate:
    """Gaussian rung minus path-Gaussian rung, paired over runs, with the layers' true maps along their noisy path."""
    setting = Setting(case.model, case.task, case.task_vector, case.ladder_demonstrations, case.ladder_shots, _FLOOR)
    return mean_estimate(path_saving(setting, Batches(setting, case.seed, case.samples // 2)), "unbiased", "nats")


def predict(case: Case, observations: int | None = None, shots: int = 0) -> float:
    """$L ½ d_S log(N/(N-b)) - ½ d_S log(1 + L b/(N-b))$, $d_S = D(D+1)/2$: no weight enters."""
    width, observations = case.model.token_dim * (case.model.token_dim + 1) // 2, observations or case.layers
    one = observation_information(width, case.ladder_demonstrations, shots or case.ladder_shots)
    return observations * one - observation_information(
        width, case.ladder_demonstrations, shots or case.ladder_shots, observations
    )


def _deep(factory: CaseFactory) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    cases = [*factory.random(factory.depth)[:some], *factory.trained(factory.depth)[:some]]
    for case in list(cases):
        w = case.model
        two = w.replace(value=np.array(w.value[:2]), key=np.array(w.key[:2]), query=np.array(w.query[:2]))
        cases.append(case.with_model(two, "2 layers"))
    return [case for case in cases if _invertible(case)]


def _invertible(case: Case) -> bool:
    full = case.model.token_dim * (case.model.token_dim + 1) // 2
    pairs = zip(case.model.value, case.model.key, case.model.query, strict=True)
    return all(support_dimension(value, key.T @ query) == full for value, key, query in pairs)


CLAIM = Claim(
    source="new",
    statement="With invertible weights a Gaussian prior on the path saves $½ d_S [L log(N/(N-b)) - log(1 + L "
    "b/(N-b))]$ nats on the sum over layers: what depends on $S$ grows like $log L$.",
    origin="new",
    relation="equal",
    measure=saved,
    predict=predict,
    explanation="The prior learns $S$ from the layers before it, by a Kalman filter through the true maps. What a "
    "prior of one covariance pays for the unknown $C_X$, $O(1/N)$ per layer, remains and grows linearly.",
    requires=("linear regression", "token covariance of full rank"),
    controls=(
        Control(
            "one observation less", predict=lambda case: predict(case, case.layers - 1) if case.layers > 1 else 0.0
        ),
        Control("two shots more", predict=lambda case: predict(case, shots=case.ladder_shots + 2)),
        Control("nothing saved", predict=lambda case: 0.0),
    ),
    cases=_deep,
)
