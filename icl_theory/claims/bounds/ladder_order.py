"""Order of the rungs at L = 1: Gaussian, isotropic, isotropic without reference, repaired Theorem 2."""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control

_ORDER = ("gaussian", "isotropic", "isotropic_zero", "theorem_2_repaired")


def rungs(case: Case, names: tuple[str, ...]) -> np.ndarray:
    """Information of the named rungs in nats.

    At L = 1 they share one Monte Carlo term, -½ E log det C, and are exact otherwise: their differences have no
    sampling error, so the values are compared as exact numbers.
    """
    ladder = case.ladder()
    return np.array([ladder.information[name].value for name in names])


def _one_layer(factory: CaseFactory) -> list[Case]:
    return [*factory.one_layer, *(case for case in factory.truncated if case.layers == 1)]


def measure(case: Case) -> np.ndarray:
    """The Gaussian, the isotropic and the zero-mean isotropic rung in nats."""
    return rungs(case, _ORDER[:-1])


def predict(case: Case) -> np.ndarray:
    """The rung above each of them."""
    return rungs(case, _ORDER[1:])


CLAIM = Claim(
    source="new; the rungs are Y Lemma 6 and Theorem 2 repaired, arXiv:2406.03768v2",
    statement="At $L = 1$: gaussian ≤ isotropic ≤ isotropic_zero ≤ theorem_2_repaired.",
    origin="new",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="Arithmetic against geometric mean of the spectrum, a reference that is not the mean, then a product "
    "of norms. Tight at $d_S = 1$, where the first two coincide.",
    controls=(
        Control("order reversed", measure=lambda c: rungs(c, _ORDER[1:]), predict=lambda c: rungs(c, _ORDER[:-1])),
        Control(
            "isotropic without reference below the one with it",
            measure=lambda c: rungs(c, ("isotropic_zero",)),
            predict=lambda c: rungs(c, ("isotropic",)),
        ),
        Control(
            "Gaussian rung 1 % larger than the isotropic one at most",
            measure=lambda c: rungs(c, ("isotropic",)),
            predict=lambda c: 1.01 * rungs(c, ("gaussian",)),
        ),
    ),
    cases=_one_layer,
    tolerance=1e-9,
)
