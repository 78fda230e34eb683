"""The way out of the truncation trap: an SVD in the metric of the inputs recovers the best rank-m optimum."""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.anisotropic_optima import anisotropic_optima
from icl_theory.models.constructions import one_layer_optimum, preconditioner_risk
from icl_theory.truncation.svd import Truncations


def risks(case: Case, power: float) -> np.ndarray:
    """Exact risk of the optimum cut in the metric Λ^power, at the ranks 0, ..., d_x."""
    optimum = one_layer_optimum(case.task, shots=case.training_shots)[0].query[0, :-1, :-1].T
    values, directions = np.linalg.eigh(case.task.covariance)
    metric = (directions * values**power) @ directions.T
    cuts = Truncations(optimum, inputs=metric, outputs=metric)
    return np.array([preconditioner_risk(cut.matrix, case.task, case.training_shots) for cut in cuts])


def measure(case: Case) -> np.ndarray:
    """Exact risk of the optimum cut by the SVD of $Λ^{1/2} P Λ^{1/2}$, at every rank."""
    return risks(case, 1.0)


def predict(case: Case) -> np.ndarray:
    """$tr Λ - Σ_{i≤m} λ_i²/γ_i$, $γ_i = ((N+1)/N) λ_i + (tr Λ + σ²)/N$, $λ_1 ≥ λ_2 ≥ ...$, at every $m$."""
    spectrum = np.linalg.eigvalsh(case.task.covariance)[::-1]
    trace, noise = spectrum.sum(), case.task.noise_std**2
    gamma = ((case.training_shots + 1) * spectrum + trace + noise) / case.training_shots
    return trace - np.append(0.0, np.cumsum(spectrum**2 / gamma))


def _cases(factory: CaseFactory) -> list[Case]:
    return [*anisotropic_optima(factory), *factory.constructed(1)[1:]]


CLAIM = Claim(
    source="new; the best rank-$m$ version of Ahn et al. 2023 Theorem 1, arXiv:2306.00297v2",
    statement="Cut by the SVD of $Λ^{1/2} P Λ^{1/2}$, the one-layer optimum $P$ has the smallest risk of rank $m$, "
    "$tr Λ - Σ_{i≤m} λ_i²/γ_i$.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Anisotropic inputs in random directions and isotropic ones, every rank from 0 to $d_x$; the closed "
    "form keeps the directions in which inputs vary most. Plain truncation of the same optimum: truncation_trap.",
    requires=("linear regression", "no model but its own", "isotropic inputs and tasks", "Gaussian tokens"),
    controls=(
        Control("plain truncation", measure=lambda case: risks(case, 0.0)),
        Control("metric $Λ^{-1}$", measure=lambda case: risks(case, -1.0)),
        Control("risk off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
    cases=_cases,
)
