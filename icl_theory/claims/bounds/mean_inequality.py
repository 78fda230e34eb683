"""The isotropic rung exceeds the Gaussian one by the arithmetic against the geometric mean of a spectrum (L = 1)."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control
from icl_theory.claims.quantities.support_maps import basis_images, moment_covariance
from icl_theory.information.covariance_roots import covariance_root
from icl_theory.noise.covariance import layer_factors


@lru_cache(maxsize=128)
def spectrum(case: Case) -> np.ndarray:
    """The d_S nonzero eigenvalues of E C + Cov G = Cov vec(A h hᵀ B) / b in D² coordinates, descending."""
    left, right = layer_factors(case.model, 0, np.zeros((1, 1)))
    values = np.linalg.svd(basis_images(left, right) @ covariance_root(moment_covariance(case)), compute_uv=False)
    return values[: case.ladder().support[0]] ** 2


def isotropic_excess(case: Case) -> float:
    """Isotropic minus Gaussian rung in nats; their Monte Carlo terms are the same and cancel."""
    information = case.ladder().information
    return information["isotropic"].value - information["gaussian"].value


def predict(case: Case) -> float:
    """$½ d_S$ log(arithmetic / geometric mean)."""
    values = spectrum(case)
    return float(0.5 * len(values) * (np.log(values.mean()) - np.log(values).mean()))


def by_condition(case: Case, power: float = 1.0) -> float:
    """$½ d_S log κ$ with $κ = κ(A)² κ(B)² κ(Σ_w)² ≥ κ(E C + Cov G)$; $A = W_V$, $B = W_Kᵀ W_Q$ of full rank."""
    factors = layer_factors(case.model, 0, np.zeros((1, 1)))
    kappas = [np.linalg.cond(matrix) for matrix in (*factors, case.task.token_covariance(case.task_vector))]
    return power * 0.5 * len(spectrum(case)) * 2 * float(np.log(kappas).sum())


RESOLVED = Assumption(
    "the spectrum's condition number is below 1e12, so that float64 resolves its logarithms to 1e-9",
    holds=lambda case: bool(spectrum(case)[0] < 1e12 * spectrum(case)[-1]),
)


def _one_layer(factory: CaseFactory) -> list[Case]:
    return [*factory.one_layer, *(case for case in factory.truncated if case.layers == 1)]


def _median(case: Case) -> float:
    values = spectrum(case)
    return float(0.5 * len(values) * (np.log(np.median(values)) - np.log(values).mean()))


CLAIM = Claim(
    source="new; links Y Lemma 6 with Y Section 3.4, arXiv:2406.03768v2",
    statement="At $L = 1$ the isotropic rung is the Gaussian rung plus $½ d_S log(AM/GM)$ of the spectrum of $E C + "
    "Cov G$.",
    origin="new",
    relation="equal",
    measure=isotropic_excess,
    predict=predict,
    assumptions=(RESOLVED,),
    explanation="The ladder works in $d_S$ coordinates of the support; here the spectrum is taken in $D²$ coordinates "
    "from the fourth moments of the tokens. It is 0 for a flat spectrum, and $κ(W_V)$, $κ(W_KᵀW_Q)$ bound how far from "
    "flat.",
    controls=(
        Control("median for the arithmetic mean", predict=_median),
        Control("one direction too few", predict=lambda case: predict(case) * (1 - 1 / len(spectrum(case)))),
        Control("1 % larger", predict=lambda case: 1.01 * predict(case)),
    ),
    cases=_one_layer,
    tolerance=1e-8,
)
