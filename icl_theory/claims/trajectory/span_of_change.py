"""Remark 5, span: changing layer k changes the implicit gradients of layers k, ..., L and no others."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.descent.trajectory import implicit_trajectory

_LAYER = 1  # k = 2 of three layers, counted from 0


def _changed(case: Case, layer: int) -> float:
    value = np.array(case.model.value)
    value[layer] = 1.1 * value[layer]
    before = implicit_trajectory(case.model, case.demonstrations).gradient
    after = implicit_trajectory(case.model.replace(value=value), case.demonstrations).gradient
    # Exactly zero is meant: layers before k see the same numbers in the same order.
    return float((before != after).any(axis=(1, 2)).sum())


def measure(case: Case) -> float:
    """The number of implicit gradients that a change of the second layer changes."""
    return _changed(case, _LAYER)


def predict(case: Case) -> float:
    """$L - k + 1$, $k = 2$."""
    return float(case.layers - _LAYER)


CLAIM = Claim(
    source="Y Remark 5 (first half), arXiv:2406.03768v2",
    statement="Changing the weights of layer $k$ changes $G_t$ for $t ≥ k$ only: $L - k + 1$ of them.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="$W_V$ of the second of three layers is scaled by 1.1; the gradients that change at all are counted, "
    "those before it must be equal to the last bit.",
    requires=(),
    controls=(
        Control("first layer changed instead", measure=lambda case: _changed(case, 0)),
        Control("last layer changed instead", measure=lambda case: _changed(case, case.layers - 1)),
        Control("one gradient fewer", predict=lambda case: case.layers - _LAYER - 1.0),
    ),
    cases=lambda factory: factory.deep,
)
