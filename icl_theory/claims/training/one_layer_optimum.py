"""The closed-form optimum of one layer: attained by its construction and beaten by no other one-layer model."""

from dataclasses import replace

import numpy as np
import sympy as sp

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.one_layer_risks import exact_risk, optimal_risk
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.risk.population import population_risk
from icl_theory.tasks.linear_regression import LinearRegression


def _one_layer(factory: CaseFactory) -> list[Case]:
    return [*factory.one_layer, *(case for case in factory.truncated if case.layers == 1)]


def proof() -> bool:
    """At $d = 1$ with symbolic $N$, $σ²$: minimise $E (η S_xy - w)²$ with $E S_xy²$ from the moments 1 and 3 of $x²$
    and $x⁴$."""
    n, noise, eta = sp.symbols("N sigma2 eta", positive=True)
    # S_xy = (1/N) Σ x_i (w x_i + ε_i): N terms with E x⁴ = 3 and N (N - 1) with (E x²)² = 1, and E w² = 1.
    second = (3 * n + n * (n - 1)) / n**2 + noise / n
    risk = 1 - 2 * eta + eta**2 * second
    best = sp.solve(sp.diff(risk, eta), eta)[0]
    gamma = (n + 1) / n + (1 + noise) / n
    return sp.simplify(risk.subs(eta, best) - (1 - 1 / gamma)) == 0


def _skew(factory: CaseFactory) -> list[Case]:
    """The constructed optimum where Λ and Ω do not commute, moved a little in a random direction."""
    result = []
    for case in factory.random(1):
        rng = np.random.default_rng(case.seed)
        dim = case.task.dim
        factors = rng.standard_normal((2, dim, dim)) / np.sqrt(dim)
        inputs, tasks = (f @ f.T + 0.2 * np.eye(dim) for f in factors)
        task = LinearRegression(dim, inputs, tasks, noise_std=0.5)
        query = one_layer_optimum(task, shots=case.training_shots)[0].query.copy()
        query[0, :dim, :dim] += 0.05 * rng.standard_normal((dim, dim))
        model = one_layer_optimum(task, shots=case.training_shots)[0].replace(query=query)
        result.append(replace(case, name=f"near the optimum, {case.name}", task=task, model=model))
    return result


def _isotropic_tasks(case: Case) -> Case:
    """Ω = I of the same trace."""
    dim = case.task.dim
    size = np.trace(case.task.task_covariance) / dim
    task = LinearRegression(dim, case.task.covariance, size * np.eye(dim), noise_std=0.5)
    return replace(case, task=task)


def _by_hand(case: Case) -> float:
    """tr ΛΩ - tr(Λ⁻¹ C M⁻¹ Cᵀ) with C = ΛΩΛ and M = ((N+1)/N) C + ((tr ΛΩ + σ²)/N) Λ, Isserlis for Gaussian inputs."""
    inputs, tasks, n = case.task.covariance, case.task.task_covariance, case.training_shots
    signal = np.trace(inputs @ tasks)
    cross = inputs @ tasks @ inputs
    moment = (n + 1) / n * cross + (signal + case.task.noise_std**2) / n * inputs
    return float(signal - np.trace(np.linalg.solve(inputs, cross) @ np.linalg.solve(moment, cross.T)))


def _lowest(case: Case) -> float:
    """Exact risk of the constructed optimum of the case's task."""
    return population_risk(
        one_layer_optimum(case.task, shots=case.training_shots)[0], case.task, shots=case.training_shots
    ).value


CLAIM = Claim(
    source="Ahn et al. 2023 Theorem 1, arXiv:2306.00297v2; Zhang, Frei, Bartlett 2024",
    statement="No one-layer linear-attention model has a population risk below $tr Λ - tr(Λ² Γ^{-1})$.",
    origin="paper",
    relation="at least",
    measure=exact_risk,
    predict=optimal_risk,
    explanation="Exact population risk (Wishart moments) of random, constructed, trained and truncated models "
    "against the closed form; the constructed optimum attains it.",
    proof=proof,
    controls=(
        Control(
            "$Λ$ and $Ω$ that do not commute: the construction attains the closed form",
            measure=_lowest,
            predict=_by_hand,
            relation="equal",
            cases=_skew,
            expected=Verdict.HOLDS,
        ),
        Control(
            "$Λ$ and $Ω$ that do not commute: nothing near it is better",
            predict=_by_hand,
            cases=_skew,
            expected=Verdict.HOLDS,
        ),
        Control(
            "$Ω$ taken for a multiple of $I$",
            predict=lambda case: _by_hand(_isotropic_tasks(case)),
            relation="equal",
            measure=_lowest,
            cases=_skew,
        ),
        Control("bound raised by 1 %", predict=lambda case: 1.01 * optimal_risk(case)),
        Control(
            "optimum of two demonstrations fewer",
            predict=lambda case: one_layer_optimum(case.task, shots=case.training_shots - 2)[1],
        ),
    ),
    cases=_one_layer,
)
