"""Order of the demonstrations: without a causal mask among them it does not matter."""

from typing import Any

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.models.attention import forward


def _query(case: Case) -> np.ndarray:
    return np.append(np.random.default_rng(case.seed).standard_normal(case.model.token_dim - 1), 0.0)


def _reversed(case: Case, mask: str) -> np.ndarray:
    return forward(case.model.replace(mask=mask), case.demonstrations[::-1], _query(case))


def predict(case: Case, mask: str = "demonstrations") -> np.ndarray:
    """The query after all layers, demonstrations in their first order."""
    return forward(case.model.replace(mask=mask), case.demonstrations, _query(case))


def _labels_reversed(case: Case) -> np.ndarray:
    tokens = case.demonstrations.copy()
    tokens[:, -1] = tokens[::-1, -1]
    return forward(case.model, tokens, _query(case))


def _one_layer(factory: CaseFactory) -> list[Case]:
    return factory.one_layer


_CAUSAL: dict[str, Any] = {
    "measure": lambda case: _reversed(case, "causal"),
    "predict": lambda case: predict(case, "causal"),
}


def measure(case: Case) -> np.ndarray:
    """The query after all layers, demonstrations in reversed order."""
    return _reversed(case, "demonstrations")


CLAIM = Claim(
    source="new; Y Remark 1 (arXiv:2406.03768v2) suggests an order sensitivity",
    statement="What linear attention makes of a query does not depend on the order of the demonstrations.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Demonstrations are reversed. With a causal mask order does matter from the second layer on, "
    "at one layer still not: both are controls.",
    requires=(),
    controls=(
        Control("causal mask, one and three layers", **_CAUSAL),
        Control("causal mask, one layer", **_CAUSAL, cases=_one_layer, expected=Verdict.HOLDS),
        Control("labels reversed, inputs not", measure=_labels_reversed),
    ),
)
