"""App. A.3: with the activation dropped an MLP multiplies the implicit update from the left."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.submodels import _query, with_mlp, without_mlp
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.attention import forward


def measure(case: Case, activation: str = "identity") -> np.ndarray:
    """The query after all layers with their MLPs."""
    return forward(with_mlp(case).model.replace(activation=activation), case.demonstrations, _query(case))


def predict(case: Case) -> np.ndarray:
    """$(I + W_L) h_q$ with $ΔW'' = W_out W_in W_V S W_Kᵀ W_Q$ in every layer."""
    path = implicit_trajectory(with_mlp(case).model, case.demonstrations)
    return _query(case) + path.accumulated[-1] @ _query(case)


def relu_error(case: Case) -> float:
    """Relative distance of the query's update under ReLU from the linear form."""
    query = _query(case)
    linear, relu = predict(case) - query, measure(case, "relu") - query
    return float(np.linalg.norm(relu - linear) / np.linalg.norm(linear))


CLAIM = Claim(
    source="Y App. A.3, arXiv:2406.03768v2",
    statement="With the activation dropped, $ΔW'' = W_out W_in ΔW$ in every layer.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Forward pass through attention and a linear MLP against the folded weights. With ReLU "
    "it is an approximation: see mlp_relu.",
    controls=(
        Control("ReLU kept", measure=lambda case: measure(case, "relu")),
        Control("MLP left out", predict=without_mlp),
    ),
)
