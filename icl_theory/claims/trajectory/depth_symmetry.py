"""Depth symmetry: for gradient descent in weights it does not matter which layer comes first, or which is dropped."""

from itertools import permutations

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.models.attention import predict as predictions
from icl_theory.models.constructions import gradient_descent_weights
from icl_theory.models.model import Model
from icl_theory.tasks.prompt import Prompt

_STEPS = (0.3, 0.5, 0.7)
_QUERIES = 8


def _descent(dim: int) -> Model:
    """Three layers with three step sizes."""
    layers = [gradient_descent_weights(dim, step_size=size) for size in _STEPS]
    names = ("value", "key", "query")
    return Model.create(*(np.concatenate([getattr(layer, name) for layer in layers]) for name in names))


def _read(case: Case, model: Model, order: tuple[int, ...]) -> np.ndarray:
    """Predictions for eight queries after the model's layers in that order."""
    chosen = model.replace(**{name: getattr(model, name)[list(order)] for name in ("value", "key", "query")})
    x, y = case.demonstrations[:, :-1], case.demonstrations[:, -1]
    queries = np.random.default_rng(case.seed).standard_normal((_QUERIES, case.task.dim))
    batch = Prompt(np.stack([x] * _QUERIES), np.stack([y] * _QUERIES), queries, queries @ case.task_vector)
    return predictions(chosen, batch)


def measure(case: Case, model: Model | None = None) -> np.ndarray:
    """Predictions of all six orders of three gradient steps of sizes .3, .5, .7, and of .3, .5 and .5, .3."""
    model = model or _descent(case.task.dim)
    orders = [*permutations(range(3)), *permutations(range(2))]
    return np.array([_read(case, model, order) for order in orders])


def predict(case: Case, model: Model | None = None) -> np.ndarray:
    """Predictions in the order in which the sizes grow."""
    model = model or _descent(case.task.dim)
    return np.array([_read(case, model, (0, 1, 2))] * 6 + [_read(case, model, (0, 1))] * 2)


def _dropped(case: Case) -> np.ndarray:
    return np.array([_read(case, _descent(case.task.dim), order) for order in ((1, 2), (0, 2), (0, 1))])


def _cases(factory: CaseFactory) -> list[Case]:
    return [*factory.random(1), *factory.constructed(factory.depth)]


CLAIM = Claim(
    source="new; on finding P2 of Y Section 2.1, arXiv:2406.03768v2",
    statement="All $L!$ orders of the layers of gradient descent are one predictor: $W_L$ reads "
    "$w_L = [I - Π_t (I - η_t S_xx)] S_xx^{-1} S_xy$, in which factors commute.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Three steps of different sizes in every order, and two of them. Dropping one of three equal steps "
    "leaves two, whichever it was. So nothing in the mechanism tells a deep layer from a shallow one: that deep layers "
    "bear clipping better (deep_layers_tolerate) is a fact of training.",
    requires=("linear regression", "no model but its own", "3 layers"),
    controls=(
        Control(
            "random weights in the place of gradient steps",
            measure=lambda case: measure(case, case.model),
            predict=lambda case: predict(case, case.model),
            cases=lambda factory: factory.random(factory.depth),
        ),
        Control(
            "a step dropped, sizes unequal",
            measure=_dropped,
            predict=lambda case: np.array([_read(case, _descent(case.task.dim), (0, 1))] * 3),
        ),
        Control(
            "the first step twice", predict=lambda case: np.array([_read(case, _descent(case.task.dim), (0, 0, 1))] * 8)
        ),
    ),
    cases=_cases,
    tolerance=1e-10,
)
