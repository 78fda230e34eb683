"""The isotropic rung exceeds the Gaussian one by the arithmetic against the geometric mean of a spectrum (L = 1)."""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control
from icl_theory.claims.quantities.isotropic_cost import RESOLVED_SPECTRUM, isotropic_excess, spectrum


def predict(case: Case) -> float:
    """$½ d_S$ log(arithmetic / geometric mean)."""
    values = spectrum(case)
    return float(0.5 * len(values) * (np.log(values.mean()) - np.log(values).mean()))


def _one_layer(factory: CaseFactory) -> list[Case]:
    return [*factory.one_layer, *(case for case in factory.truncated if case.layers == 1)]


def _median(case: Case) -> float:
    values = spectrum(case)
    return float(0.5 * len(values) * (np.log(np.median(values)) - np.log(values).mean()))


_SPREAD = Assumption("$d_S > 1$: with one direction both sides are 0", holds=lambda case: len(spectrum(case)) > 1)

CLAIM = Claim(
    source="new; links Y Lemma 6 with Y Section 3.4, arXiv:2406.03768v2",
    statement="At $L = 1$ the isotropic rung is the Gaussian rung plus $½ d_S log(AM/GM)$ of the spectrum of $E C + "
    "Cov G$.",
    origin="new",
    relation="equal",
    measure=isotropic_excess,
    predict=predict,
    assumptions=(RESOLVED_SPECTRUM, _SPREAD),
    explanation="The ladder works in $d_S$ coordinates of the support; here the spectrum is taken in $D²$ coordinates "
    "from the fourth moments of the tokens. It is 0 for a flat spectrum, and $κ(W_V)$, $κ(W_KᵀW_Q)$ bound how far from "
    "flat.",
    requires=("linear regression", "token covariance of full rank", "Gaussian tokens"),
    controls=(
        Control("median for the arithmetic mean", predict=_median),
        Control("one direction too few", predict=lambda case: predict(case) * (1 - 1 / len(spectrum(case)))),
        Control("1 % larger", predict=lambda case: 1.01 * predict(case)),
    ),
    cases=_one_layer,
    tolerance=1e-8,
)
