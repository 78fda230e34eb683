"""Remark 2: G_t depends on W_{t-1}, the demonstrations and layer t's weights, and on nothing else before layer t."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.token_loop import gradients_token_by_token
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.attention import second_moment
from icl_theory.models.model import Model


def measure(case: Case) -> np.ndarray:
    """$G_L$ of the model, its tokens moved layer by layer."""
    return gradients_token_by_token(case)[-1]


def stand_in(case: Case, accumulated: np.ndarray, query_scale: float = 1.0) -> Model:
    """A two-layer model: one layer that makes W_1 = `accumulated` at a stroke, then the case's last layer.

    W_V = W S^{-1}, W_K = W_Q = I give ΔW = W S^{-1} S = W.
    """
    w, identity = case.model, np.eye(case.model.token_dim)
    first = np.linalg.solve(second_moment(case.demonstrations), accumulated.T).T
    return Model(
        np.stack([first, w.value[-1]]),
        np.stack([identity, w.key[-1]]),
        np.stack([identity, query_scale * w.query[-1]]),
    )


def _accumulated(case: Case, before: int = 1) -> np.ndarray:
    """W_{L - before}."""
    return implicit_trajectory(case.model, case.demonstrations).accumulated[-1 - before]


def predict(case: Case, before: int = 1, query_scale: float = 1.0) -> np.ndarray:
    """$G_2$ of the stand-in on the same demonstrations."""
    model = stand_in(case, _accumulated(case, before), query_scale)
    return implicit_trajectory(model, case.demonstrations).gradient[1]


def _other_demonstrations(case: Case) -> np.ndarray:
    """The same W_{L-1}, but the last layer sees one demonstration fewer."""
    w, m = case.model, np.eye(case.model.token_dim) + _accumulated(case)
    moved = case.demonstrations[:-1] @ m.T
    return w.value[-1] @ second_moment(moved) @ w.key[-1].T @ w.query[-1] @ m


CLAIM = Claim(
    source="Y Remark 2, arXiv:2406.03768v2",
    statement="$G_t$ depends on the earlier layers through $W_{t-1}$ only.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Two layers before the last are exchanged for a single one that reaches the same $W_{L-1}$ by other "
    "weights; the last implicit gradient must not notice.",
    requires=("token covariance of full rank",),
    controls=(
        Control("$W_{t-2}$ instead", predict=lambda case: predict(case, before=2)),
        Control("layer $t$'s $W_Q$ off by 1 %", predict=lambda case: predict(case, query_scale=1.01)),
        Control("one demonstration fewer in layer $t$", predict=_other_demonstrations),
    ),
    cases=lambda factory: [*factory.deep, *(c for c in factory.truncated if c.layers > 1)],
    tolerance=1e-9,
)
