"""What an isotropic prior costs against the best Gaussian one, and the condition numbers that bound it."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption
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


def condition_cost(case: Case, power: float = 1.0) -> float:
    """$½ d_S log κ$ with $κ = κ(A)² κ(B)² κ(Σ_w)² ≥ κ(E C + Cov G)$; $A = W_V$, $B = W_Kᵀ W_Q$ of full rank."""
    factors = layer_factors(case.model, 0, np.zeros((1, 1)))
    kappas = [np.linalg.cond(matrix) for matrix in (*factors, case.task.token_covariance(case.task_vector))]
    return power * 0.5 * len(spectrum(case)) * 2 * float(np.log(kappas).sum())


RESOLVED_SPECTRUM = Assumption(
    "the spectrum's condition number is below 1e12, so that float64 resolves its logarithms to 1e-9",
    holds=lambda case: bool(spectrum(case)[0] < 1e12 * spectrum(case)[-1]),
)
