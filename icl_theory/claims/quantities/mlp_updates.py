"""The query after layers with MLPs, and what a linear MLP makes of it."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.quantities.submodels import query_token, with_mlp
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.attention import forward


def query_after_mlps(case: Case, activation: str = "identity") -> np.ndarray:
    """The query after all layers with their MLPs."""
    return forward(with_mlp(case).model.replace(activation=activation), case.demonstrations, query_token(case))


def query_in_linear_form(case: Case) -> np.ndarray:
    """$(I + W_L) h_q$ with $ΔW'' = W_out W_in W_V S W_Kᵀ W_Q$ in every layer."""
    path = implicit_trajectory(with_mlp(case).model, case.demonstrations)
    return query_token(case) + path.accumulated[-1] @ query_token(case)


def relu_error(case: Case) -> float:
    """Relative distance of the query's update under ReLU from the linear form."""
    query = query_token(case)
    linear, relu = query_in_linear_form(case) - query, query_after_mlps(case, "relu") - query
    return float(np.linalg.norm(relu - linear) / np.linalg.norm(linear))
