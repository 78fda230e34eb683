"""GD++ in weights: one head that also moves the inputs makes L layers exactly L steps of GD++."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.constructed_predictions import query_input, transformer_prediction
from icl_theory.models.constructions import gradient_descent_weights
from icl_theory.models.model import Model


def plus_plus_weights(dim: int, layers: int, eta: float, gamma: float) -> Model:
    """W_K = W_Q = diag(I, 0), W_V = diag(-γ I, -η): x ← x - γ S_xx x and y ← y - η S_yx x in every layer."""
    model = gradient_descent_weights(dim, layers=layers, step_size=eta)
    model.value[:, :dim, :dim] = -gamma * np.eye(dim)
    return model


def _steps(case: Case) -> tuple[float, float]:
    """η and γ, read off the weights."""
    return -float(case.model.value[0, -1, -1]), -float(case.model.value[0, 0, 0])


def cases(factory: CaseFactory) -> list[Case]:
    """Random η and γ, one and three layers."""
    result = []
    for case in [*factory.random(1), *factory.random(factory.depth)]:
        rng = np.random.default_rng(case.seed)
        model = plus_plus_weights(case.task.dim, case.layers, rng.uniform(0.1, 0.8), rng.uniform(0.05, 0.4))
        result.append(case.with_model(model, "GD++", "constructed"))
    return result


def predict(case: Case, *, sign: float = 1.0, query_moves: bool = True, input_steps: bool = True) -> float:
    """$ŷ$ of explicit GD++: residuals and inputs of every demonstration, and the query, moved step by step."""
    eta, gamma = _steps(case)
    x, residual = case.demonstrations[:, :-1].copy(), case.demonstrations[:, -1].copy()
    query, label = query_input(case), 0.0
    for _ in range(case.layers):
        slope, second = residual @ x / len(x), x.T @ x / len(x)
        label = label + eta * (slope @ query)
        residual = residual - eta * x @ slope
        if input_steps:
            x, moved = x - sign * gamma * x @ second, query - sign * gamma * second @ query
            query = moved if query_moves else query
    return float(label)


def proof() -> bool:
    """Symbolically for $d = 1$, $N = 2$, two layers: the token map against residuals and inputs stepped apart."""
    eta, gamma, query = sp.symbols("eta gamma q")
    xs, ys = sp.symbols("x:2"), sp.symbols("y:2")
    tokens, probe = list(zip(xs, ys, strict=True)), (query, sp.Integer(0))
    x, r, q, label = list(xs), list(ys), query, sp.Integer(0)
    for _ in range(2):
        second, cross = sum(a * a for a, _ in tokens) / 2, sum(a * b for a, b in tokens) / 2
        tokens = [(a - gamma * second * a, b - eta * cross * a) for a, b in tokens]
        probe = (probe[0] - gamma * second * probe[0], probe[1] - eta * cross * probe[0])
        slope, curvature = sum(a * b for a, b in zip(x, r, strict=True)) / 2, sum(a * a for a in x) / 2
        label += eta * slope * q
        r = [b - eta * slope * a for a, b in zip(x, r, strict=True)]
        x, q = [a * (1 - gamma * curvature) for a in x], q * (1 - gamma * curvature)
    return sp.expand(-probe[1] - label) == 0


CLAIM = Claim(
    source="von Oswald et al. 2023, GD++ (Section 3, App. A.10), arXiv:2212.07677v2",
    statement="$W_V = diag(-γ I, -η)$, $W_K = W_Q = diag(I, 0)$: $L$ layers are exactly $L$ steps of GD++.",
    origin="paper",
    relation="equal",
    measure=transformer_prediction,
    predict=predict,
    explanation="Predictions of the weights against residuals and inputs moved explicitly, demonstration by "
    "demonstration; the query's input moves too.",
    proof=proof,
    controls=(
        Control("inputs not moved (plain steps)", predict=lambda case: predict(case, input_steps=False)),
        Control("query not moved", predict=lambda case: predict(case, query_moves=False)),
        Control("sign of $γ$", predict=lambda case: predict(case, sign=-1.0)),
        Control("plus readout", measure=lambda case: transformer_prediction(case, readout="plus")),
    ),
    cases=cases,
)
