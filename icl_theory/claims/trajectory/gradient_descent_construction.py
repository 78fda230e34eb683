"""The construction of von Oswald et al.: L layers are exactly L steps of gradient descent."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.constructed_predictions import query_input, transformer_prediction
from icl_theory.descent.gradient_descent import gradient_descent
from icl_theory.models.constructions import gradient_descent_weights


def cases(factory: CaseFactory) -> list[Case]:
    """Random step sizes and preconditioners, one and three layers."""
    result = []
    for case in [*factory.random(1), *factory.random(factory.depth)]:
        rng = np.random.default_rng(case.seed)
        step, matrix = rng.uniform(0.1, 0.8), np.eye(case.task.dim) + 0.2 * rng.standard_normal(2 * (case.task.dim,))
        model = gradient_descent_weights(case.task.dim, layers=case.layers, step_size=step, preconditioner=matrix)
        result.append(case.with_model(model, "gradient descent", "constructed"))
    return result


def predict(case: Case, *, factor: float = 1.0, fewer: int = 0) -> float:
    """$w_L · x_q$ of explicit gradient descent; step size and preconditioner are read off the weights."""
    step, matrix = -case.model.value[0, -1, -1], case.model.query[0, :-1, :-1].T
    x, y = case.demonstrations[:, :-1], case.demonstrations[:, -1]
    path = gradient_descent(x, y, steps=case.layers - fewer, step_size=float(factor * step), preconditioner=matrix)
    return float(path[-1] @ query_input(case))


def proof() -> bool:
    """Symbolically for $d = 1$, $N = 2$, two layers: tokens $[x; y]$ moved by the layer, against two explicit steps."""
    eta, query = sp.symbols("eta q")
    xs, ys = sp.symbols("x:2"), sp.symbols("y:2")
    tokens, slot = list(zip(xs, ys, strict=True)), sp.Integer(0)
    for _ in range(2):
        slope = sum(x * y for x, y in tokens) / 2  # W_V S W_Kᵀ W_Q has the single entry -η S_yx in its y-x corner
        slot = slot - eta * slope * query
        tokens = [(x, y - eta * slope * x) for x, y in tokens]
    w = sp.Integer(0)
    for _ in range(2):
        w = w - eta * sum((w * x - y) * x for x, y in zip(xs, ys, strict=True)) / 2
    return sp.expand(-slot - w * query) == 0


CLAIM = Claim(
    source="von Oswald et al. 2023, Prop. 1, arXiv:2212.07677v2; readout sign: new",
    statement="$W_K = diag(I, 0)$, $W_Q = diag(P, 0)$, $W_V = diag(0, -η)$, minus readout: $L$ layers are $L$ steps of "
    "gradient descent preconditioned by $P$.",
    origin="paper",
    relation="equal",
    measure=transformer_prediction,
    predict=predict,
    explanation="The forward pass of the constructed weights against explicit gradient descent on the demonstrations.",
    proof=proof,
    controls=(
        Control("plus readout", measure=lambda case: transformer_prediction(case, readout="plus")),
        Control("step size off by 1 %", predict=lambda case: predict(case, factor=1.01)),
        Control("one step fewer", predict=lambda case: predict(case, fewer=1)),
        Control("sum instead of mean", measure=lambda case: transformer_prediction(case, normalization="sum")),
    ),
    cases=cases,
)
