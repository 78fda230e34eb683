"""App. B.6, dropping a layer: without the last layer every rung falls."""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.submodels import first_layers
from icl_theory.core.estimate import Estimate

_NAMES = ("isotropic", "isotropic_zero", "theorem_2_repaired")


def _runs(case: Case) -> np.ndarray:
    """The three isotropic rungs of every run in nats, and the Gaussian one, whose terms are right on the mean alone."""
    ladder = case.ladder()
    return np.r_[[ladder.information["gaussian"].value], *(ladder.terms[name] for name in _NAMES)]


def _error(case: Case) -> np.ndarray:
    """Six standard errors of what the Gaussian rung loses, 0 for the others: both ladders have the same draws."""
    more, fewer = (ladder.terms["gaussian"] for ladder in (case.ladder(), first_layers(case, 2).ladder()))
    return np.r_[6 * Estimate.from_samples(more - fewer).stderr, np.zeros(len(more) * len(_NAMES))]


def _some(factory: CaseFactory) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    return [*factory.deep[:some], *factory.deep[-some:]]


def measure(case: Case) -> np.ndarray:
    """The rungs of the first two layers in nats, run by run; the Gaussian one raised by six standard errors."""
    return _runs(first_layers(case, 2)) + _error(case)


CLAIM = Claim(
    source="Y App. B.6, arXiv:2406.03768v2, as a statement on the bounds",
    statement="Dropping the last layer lowers every rung of the ladder.",
    origin="repaired",
    relation="at most",
    measure=measure,
    predict=_runs,
    explanation="Two layers against three on the same draws: the isotropic rungs and the repaired Theorem 2 lose one "
    "divergence, which is not negative, in every single run, and the Gaussian rung on the mean, by more than six "
    "standard errors. Whether the risk falls is another question.",
    controls=(
        Control(
            "a layer added instead",
            measure=lambda case: _runs(case) + _error(case),
            predict=lambda case: _runs(first_layers(case, 2)),
        ),
        Control(
            "half of the information lost at most",
            measure=lambda c: 0.5 * _runs(c),
            predict=lambda c: _runs(first_layers(c, 1)),
        ),
    ),
    cases=_some,
)
