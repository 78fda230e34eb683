"""Assumption 1 draws fresh noise in every layer; in a forward pass the noise of the layers is correlated."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.core.estimate import Estimate
from icl_theory.information.ladder.noisy_trajectory import Draws, draw
from icl_theory.information.ladder.setting import Setting
from icl_theory.information.ladder.shared_subsets import (
    correlation_with_first,
    layer_noise,
    with_one_observation,
    with_subset,
)


@lru_cache(maxsize=64)
def _correlation(case: Case, version: str, layer: int = 1) -> Estimate:
    """Between the noise of the first layer and that of another: with "subset", "observation" or "fresh" noise."""
    setting = Setting(case.model, case.task, case.task_vector, case.ladder_demonstrations, case.ladder_shots)
    draws: Draws = draw(setting, np.random.default_rng(case.seed), case.samples)
    if version == "subset":
        draws = with_subset(draws, setting)
    elif version == "observation":
        draws = with_one_observation(draws)
    return correlation_with_first(layer_noise(setting, draws)[0])[layer]


def _cases(factory: CaseFactory) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    return [*factory.constructed(factory.depth), *factory.trained(factory.depth)[:some]]


def _half(case: Case) -> Estimate:
    found = _correlation(case, "fresh")
    return Estimate(found.value + 0.5, found.stderr, found.samples, "unbiased")


CLAIM = Claim(
    source="Y Assumption 1 read as a statement on the forward pass, arXiv:2406.03768v2",
    statement="The noise of the second layer is uncorrelated with that of the first when $b$ demonstrations are shown.",
    origin="paper",
    relation="equal",
    measure=lambda case: _correlation(case, "subset"),
    predict=lambda case: 0.0,
    explanation="One subset of 20 of 80 demonstrations goes through all layers, as in a forward pass. Noise is what an "
    "increment has beyond its mean given the layers before; the assumption makes it independent from layer to layer.",
    controls=(
        Control(
            "noise drawn afresh in every layer", measure=lambda c: _correlation(c, "fresh"), expected=Verdict.HOLDS
        ),
        Control("one Gaussian observation of S for all layers", measure=lambda case: _correlation(case, "observation")),
        Control("noise drawn afresh, half correlated", measure=_half),
    ),
    cases=_cases,
)
