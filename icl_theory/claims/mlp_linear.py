"""App. A.3: with the activation dropped an MLP multiplies the implicit update from the left."""

import numpy as np

from icl_theory.attention import forward
from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import Case
from icl_theory.trajectory import implicit_trajectory

_HIDDEN = 12


def with_mlp(case: Case) -> Case:
    """The case's model with a random MLP in every layer."""
    rng, d = np.random.default_rng(case.seed), case.weights.dimension
    inner = rng.standard_normal((case.layers, _HIDDEN, d)) / np.sqrt(d)
    outer = rng.standard_normal((case.layers, d, _HIDDEN)) / np.sqrt(_HIDDEN)
    return case.with_weights(case.weights.replace(mlp_in=inner, mlp_out=outer), "MLP")


def _query(case: Case) -> np.ndarray:
    return np.random.default_rng(case.seed + 1).standard_normal(case.weights.dimension)


def measure(case: Case, activation: str = "identity") -> np.ndarray:
    """The query after all layers with their MLPs."""
    return forward(with_mlp(case).weights, case.demonstrations, _query(case), activation=activation)


def predict(case: Case) -> np.ndarray:
    """(I + W_L) h_q with ΔW'' = W_out W_in W_V S W_Kᵀ W_Q in every layer."""
    path = implicit_trajectory(with_mlp(case).weights, case.demonstrations)
    return _query(case) + path.accumulated[-1] @ _query(case)


def without_mlp(case: Case) -> np.ndarray:
    """(I + W_L) h_q of the attention alone."""
    path = implicit_trajectory(case.weights, case.demonstrations)
    return _query(case) + path.accumulated[-1] @ _query(case)


def relu_error(case: Case) -> float:
    """Relative distance of the query's update under ReLU from the linear form."""
    query = _query(case)
    linear, relu = predict(case) - query, measure(case, "relu") - query
    return float(np.linalg.norm(relu - linear) / np.linalg.norm(linear))


CLAIM = Claim(
    label="mlp_linear",
    source="Y App. A.3, arXiv:2406.03768v2",
    statement="With the activation dropped, ΔW'' = W_out W_in ΔW in every layer.",
    printed="printed",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Forward pass through attention and a linear MLP against the folded weights. With ReLU "
    "it is an approximation: see mlp_relu.",
    controls=(
        Control("ReLU kept", {"measure": lambda case: measure(case, "relu")}),
        Control("MLP left out", {"predict": without_mlp}),
    ),
)
