"""Remark 1, order: with a causal mask among the demonstrations their order matters, from the second layer on."""

from typing import Any

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.submodels import first_layers
from icl_theory.claims.quantities.token_loop import loop
from icl_theory.models.attention import forward


def _query(case: Case) -> np.ndarray:
    return np.append(np.random.default_rng(case.seed).standard_normal(case.model.token_dim - 1), 0.0)


def _output(case: Case, tokens: np.ndarray, mask: str = "causal") -> np.ndarray:
    """The query token after all layers."""
    return forward(case.model.replace(mask=mask), tokens, _query(case))


def measure(case: Case, mask: str = "causal") -> np.ndarray:
    """The query after all layers, demonstrations in reversed order."""
    return _output(case, case.demonstrations[::-1], mask)


def predict(case: Case, mask: str = "causal") -> np.ndarray:
    """The same in their first order."""
    return _output(case, case.demonstrations, mask)


def _labels_reversed(case: Case) -> np.ndarray:
    tokens = case.demonstrations.copy()
    tokens[:, -1] = tokens[::-1, -1]
    return _output(case, tokens)


def _cases(factory: CaseFactory) -> list[Case]:
    return [*factory.one_layer, *(first_layers(case, 2) for case in factory.deep)]


def counterexample() -> dict[str, Any]:
    """Two layers of a 1 x 1 model with every weight 1, tokens 1 and 2 in the sum convention: 149 against 137.

    The first layer turns (1, 2) into (2, 12) and (2, 1) into (10, 6), and adds 1 + 4 of a query 1 either way; the
    second adds (4 + 144) or (100 + 36) times the query 6. Tokens 0 and 1 give no difference.
    """
    return {"value": [[[1]], [[1]]], "key": [[[1]], [[1]]], "query": [[[1]], [[1]]], "tokens": [[1], [2]], "probe": [1]}


def _exact_output(found: dict, tokens: list) -> np.ndarray:
    """The causal forward pass in Python's whole numbers, sum convention."""
    query = np.array(found["probe"], dtype=object)
    for layer in zip(found["value"], found["key"], found["query"], strict=True):
        value, key, score = (np.array(matrix, dtype=object) for matrix in layer)
        tokens = [np.array(h, dtype=object) for h in tokens]

        def read(token: np.ndarray, seen: list, value=value, key=key, score=score) -> np.ndarray:
            return token + sum((value @ h * ((key @ h) @ (score @ token)) for h in seen), 0 * token)

        query, tokens = read(query, tokens), [read(h, tokens[: i + 1]) for i, h in enumerate(tokens)]
    return query


def recheck(found: dict) -> bool:
    """Whether the two orders give different queries, in exact whole numbers."""
    return bool((_exact_output(found, found["tokens"]) != _exact_output(found, found["tokens"][::-1])).any())


_LOOP: dict[str, Any] = {
    "measure": predict,
    "cases": lambda factory: [*factory.random(1), *factory.random(factory.depth)],
}

CLAIM = Claim(
    source="Y Remark 1 (order), arXiv:2406.03768v2, under a causal mask among the demonstrations",
    statement="With a causal mask among the demonstrations there are models of several layers for which their order "
    "matters.",
    origin="new",
    refutes=True,
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Demonstrations are reversed. At one layer the query still sees them all unchanged (a control that "
    "holds); with two layers what it sees depends on who came first.",
    requires=(),
    controls=(
        Control("one layer", cases=lambda factory: factory.one_layer, expected=Verdict.HOLDS),
        Control(
            "no mask among demonstrations",
            measure=lambda case: measure(case, "demonstrations"),
            predict=lambda c: predict(c, "demonstrations"),
            expected=Verdict.HOLDS,
        ),
        Control(
            "the forward pass against a loop in which nobody sees later demonstrations",
            **_LOOP,
            predict=lambda case: loop(case, _query(case), mask="causal"),
            expected=Verdict.HOLDS,
        ),
        Control(
            "the forward pass against a loop in which nobody sees earlier demonstrations",
            **_LOOP,
            predict=lambda case: loop(case, _query(case), mask="reversed"),
        ),
        Control("one layer, labels reversed", measure=_labels_reversed, cases=lambda w: w.one_layer),
        Control("one layer, off by 1 %", predict=lambda c: 1.01 * predict(c), cases=lambda w: w.one_layer),
    ),
    cases=_cases,
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
