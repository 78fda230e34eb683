"""App. B.6, dropping a layer: without the last layer every rung falls."""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.submodels import first_layers

_NAMES = ("gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired")


def _rungs(case: Case, noise: float = 0.0) -> np.ndarray:
    """Every rung in nats, moved by a number of its standard errors."""
    information = case.ladder().information
    return np.array([information[name].value + noise * information[name].stderr for name in _NAMES])


def _some(factory: CaseFactory) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    return [*factory.three_layers[:some], *factory.three_layers[-some:]]


def measure(case: Case) -> np.ndarray:
    """Four rungs of the first two layers in nats, raised by six standard errors."""
    return _rungs(first_layers(case, 2), 6.0)


def predict(case: Case) -> np.ndarray:
    """The same of all three layers, lowered by six standard errors."""
    return _rungs(case, -6.0)


CLAIM = Claim(
    source="Y App. B.6, arXiv:2406.03768v2, as a statement on the bounds",
    statement="Dropping the last layer lowers every rung of the ladder.",
    origin="repaired",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="Two layers against three; each rung loses one non-negative term. Both sides are moved six standard "
    "errors towards each other, so that holding is not luck. Whether the risk falls is another question.",
    controls=(
        Control(
            "a layer added instead",
            measure=lambda case: _rungs(case, 6.0),
            predict=lambda case: _rungs(first_layers(case, 2), -6.0),
        ),
        Control(
            "half of the information lost at most",
            measure=lambda c: 0.5 * _rungs(c),
            predict=lambda c: _rungs(first_layers(c, 1)),
        ),
    ),
    cases=_some,
)
