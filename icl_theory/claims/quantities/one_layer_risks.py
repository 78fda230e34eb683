"""Exact risks of one-layer models and of the best of them."""

from icl_theory.claims.engine.cases import Case
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.risk.population import population_risk


def exact_risk(case: Case) -> float:
    """Exact population risk of the case's one-layer model."""
    return population_risk(case.model, case.task, shots=case.training_shots).value


def optimal_risk(case: Case) -> float:
    """$tr Λ - tr(Λ² Γ^{-1})$."""
    return one_layer_optimum(case.task, shots=case.training_shots)[1]
