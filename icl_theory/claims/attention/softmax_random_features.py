"""Choromanski et al. 2021: positive random features approximate the softmax kernel at rate m^{-1/2}."""

import math

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.core.estimate import Estimate

_SMALL, _LARGE, _REPEATS = 64, 64 * 16, 400  # 16 times the features: a quarter of the error


def _pairs(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """A key and a query of norm 0.4 from the case's own weights and tokens."""
    key, query = case.model.key[0] @ case.demonstrations[0], case.model.query[0] @ case.demonstrations[1]
    return 0.4 * key / np.linalg.norm(key), 0.4 * query / np.linalg.norm(query)


def _errors(case: Case, features: int, salt: int) -> np.ndarray:
    """Squared errors of (1/m) Σ exp(ω·k - |k|²/2) exp(ω·q - |q|²/2), ω ~ N(0, I), over independent repeats."""
    key, query = _pairs(case)
    rng = np.random.default_rng([case.seed, salt, features])
    scores = rng.standard_normal((_REPEATS, features, len(key))) @ (key + query)
    estimate = np.exp(scores - (key @ key + query @ query) / 2).mean(axis=1)
    return (estimate - np.exp(key @ query)) ** 2


def slope(case: Case, *, large: int = _LARGE) -> Estimate:
    """Exponent of the root mean square error in $m$, between two numbers of features."""
    few, many = (Estimate.from_samples(x) for x in (_errors(case, _SMALL, 0), _errors(case, large, 1)))
    spread = math.log(_LARGE / _SMALL)
    value = 0.5 * (math.log(many.value) - math.log(few.value)) / spread
    error = 0.5 * math.hypot(few.stderr / few.value, many.stderr / many.value) / spread
    return Estimate(value, error, _REPEATS, "unbiased", "exponent")


def _cases(factory: CaseFactory) -> list[Case]:
    """Random and trained one-layer models, whose keys and queries give the directions."""
    return [*factory.random(1), *factory.trained(1)]


CLAIM = Claim(
    source="Choromanski et al. 2021, arXiv:2009.14794v4; used in Y App. A.2, arXiv:2406.03768v2",
    statement="With $m$ positive random features the error of $exp(kᵀq)$ falls like $m^{-1/2}$.",
    origin="paper",
    relation="equal",
    measure=slope,
    predict=lambda case: -0.5,
    explanation="Root mean square error over 400 draws at $m = 64$ and $m = 1024$, as an exponent with its standard "
    "error.",
    controls=(
        Control("rate $1/m$", predict=lambda case: -1.0),
        Control("no more features after all", measure=lambda case: slope(case, large=_SMALL)),
    ),
    cases=_cases,
)
