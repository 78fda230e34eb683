"""App. B.1 under softmax: the mask hides the query's value from the demonstrations, not its key."""

from fractions import Fraction
from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.prompt_matrices import mask_of, prompt_matrix
from icl_theory.claims.quantities.token_loop import loop
from icl_theory.models.attention import forward


def _softmax(scores: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Column by column, over the entries that are seen."""
    model = np.where(seen, np.exp(scores - scores.max(axis=0)), 0.0)
    return model / model.sum(axis=0)


def demonstrations_after(
    case: Case, shift: float = 0.0, *, softmax: bool = True, hidden: bool = False, masked: bool = True
) -> np.ndarray:
    """$H_s$ after one layer of Eq. 1, $Ĥ = H + W_V H M A$ with $A = Softmax((W_K H)ᵀ W_Q H)$.

    `shift` is added to the query; `softmax` False leaves the softmax out; `hidden` True keeps the query's key out of
    the normaliser too; `masked` False leaves M out, so that the query's value is seen.
    """
    h, w = prompt_matrix(case), case.model
    h[:, -1] += shift
    count = h.shape[1]
    scores = (w.key[0] @ h).T @ w.query[0] @ h
    scores = scores / np.abs((w.key[0] @ case.demonstrations.T).T @ w.query[0] @ case.demonstrations.T).max()
    seen = np.ones((count, count), dtype=bool)
    seen[-1] = not hidden
    moved = h + w.value[0] @ h @ mask_of(count, count - masked) @ (_softmax(scores, seen) if softmax else scores)
    return moved[:, :-1]


def predict(case: Case, **options: bool) -> np.ndarray:
    """The same with another query."""
    return demonstrations_after(case, 1.0, **options)


def _gentle(case: Case) -> Case:
    """The case with W_K small enough that no score is above 1: a softmax of large ones sees a single token."""
    h = prompt_matrix(case)
    scores = [np.abs((k @ h).T @ q @ h).max() for k, q in zip(case.model.key, case.model.query, strict=True)]
    return case.with_model(case.model.replace(key=case.model.key / max(scores)), "small scores")


def forward_pass(case: Case, mask: str = "demonstrations") -> np.ndarray:
    """The query after all layers of the package's softmax attention."""
    case = _gentle(case)
    return forward(case.model.replace(kind="softmax", mask=mask), case.demonstrations, prompt_matrix(case)[:, -1])


def by_token(case: Case, mask: str = "demonstrations") -> np.ndarray:
    """The same, token by token."""
    case = _gentle(case)
    return loop(case, prompt_matrix(case)[:, -1], kind="softmax", mask=mask)


_LOOP: dict[str, Any] = {
    "tolerance": 1e-9,
    "cases": lambda factory: [*factory.random(1), *factory.random(factory.depth)],
}


def counterexample() -> dict[str, Any]:
    """D = N = 1, h_1 = 1, W_V = 1 and W_K = W_Q such that exp(kᵀq) = 2^{h h'}: 1 + 2/(2 + 1) against 1 + 2/(2 + 4)."""
    return {"tokens": [1], "queries": [0, 2], "base": 2, "value": 1}


def recheck(found: dict) -> bool:
    """Whether the two queries leave different first demonstrations, in exact fractions; exp(kᵀq) = base^{h h'}."""
    tokens, base = found["tokens"], found["base"]
    outputs = []
    for query in found["queries"]:
        model = [Fraction(base) ** (h * tokens[0]) for h in [*tokens, query]]
        seen = sum(Fraction(found["value"]) * h * weight for h, weight in zip(tokens, model[:-1], strict=True))
        outputs.append(tokens[0] + seen / sum(model))
    return outputs[0] != outputs[1]


CLAIM = Claim(
    source="Y App. B.1 (no demonstration attends to the query) read for Eq. 1 with its softmax, arXiv:2406.03768v2",
    statement="Under softmax the mask $M$ of Eq. 1 does not keep the demonstrations free of the query: there are "
    "weights and prompts for which they depend on it.",
    origin="new",
    refutes=True,
    relation="equal",
    measure=demonstrations_after,
    predict=predict,
    explanation="Two queries, the demonstrations after one layer. $M$ takes the query's value away and leaves its key "
    "in every normaliser, so that attention to demonstrations adds up to less than one, by an amount that the query "
    "decides. From the second layer on what is learnt from the demonstrations depends on the question.",
    requires=(),
    controls=(
        Control(
            "without softmax",
            measure=lambda case: demonstrations_after(case, softmax=False),
            predict=lambda case: predict(case, softmax=False),
            expected=Verdict.HOLDS,
        ),
        Control(
            "the query hidden from the normaliser too",
            measure=lambda case: demonstrations_after(case, hidden=True),
            predict=lambda case: predict(case, hidden=True),
            expected=Verdict.HOLDS,
        ),
        Control(
            "softmax forward pass against a loop over tokens",
            **_LOOP,
            measure=forward_pass,
            predict=by_token,
            expected=Verdict.HOLDS,
        ),
        Control(
            "the same with a causal mask among the demonstrations",
            **_LOOP,
            measure=lambda c: forward_pass(c, "causal"),
            predict=lambda c: by_token(c, "causal"),
            expected=Verdict.HOLDS,
        ),
        Control(
            "the same with a mask that hides earlier demonstrations in the loop",
            **_LOOP,
            measure=lambda c: forward_pass(c, "causal"),
            predict=lambda c: by_token(c, "reversed"),
        ),
        Control(
            "hidden from the normaliser in one of the two only",
            measure=lambda case: demonstrations_after(case, hidden=True),
        ),
        Control(
            "without softmax and without the mask",
            measure=lambda case: demonstrations_after(case, softmax=False, masked=False),
            predict=lambda case: predict(case, softmax=False, masked=False),
        ),
    ),
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
