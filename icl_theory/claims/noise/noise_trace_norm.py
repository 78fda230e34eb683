"""Remark 4 on tr C_t: a small implicit gradient does not make its noise small."""

from typing import Any

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.noise_traces import exact_trace, noise_trace
from icl_theory.claims.quantities.update_norms import update_norm
from icl_theory.models.attention import second_moment
from icl_theory.truncation.svd import truncate


def bound(case: Case) -> float:
    """$((N-b)/b) ||G_1||_F²$, $G_1 = ΔW_1$ the mean over the demonstrations."""
    count = len(case.demonstrations)
    return (count - case.shots) / case.shots * update_norm(case)


def cancelling(case: Case) -> Case:
    """W_V at rank 3, W_K = I and W_Q = S^{-1} (projection on W_V's null space): G_1 = W_V S W_Q = 0."""
    value = truncate(case.model.value[0], 3).matrix
    null = np.eye(len(value)) - np.linalg.pinv(value) @ value
    query = np.linalg.solve(second_moment(case.demonstrations), null)
    return _first_layer(case, value, query, "gradients that cancel")


def aligned(case: Case) -> Case:
    """W_K = I and W_Q = W_Vᵀ: all inner products of gradients are squares, (h_iᵀ W_Vᵀ W_V h_j)²."""
    return _first_layer(case, case.model.value[0], case.model.value[0].T, "gradients that agree")


def _first_layer(case: Case, value: np.ndarray, query: np.ndarray, suffix: str) -> Case:
    w = case.model
    matrices = [np.array(part) for part in (w.value, w.key, w.query)]
    for stack, matrix in zip(matrices, (value, np.eye(len(value)), query), strict=True):
        stack[0] = matrix
    return case.with_model(w.replace(value=matrices[0], key=matrices[1], query=matrices[2]), suffix, "constructed")


def _aligned(factory: CaseFactory) -> list[Case]:
    return [aligned(case) for case in factory.one_layer]


def counterexample() -> dict[str, Any]:
    """Tokens e_1, e_2 whose gradients are e_1 e_1ᵀ and -e_1 e_1ᵀ: G = 0 and tr C = 1."""
    identity = [[1, 0], [0, 1]]
    return {"value": [[1, 1], [0, 0]], "key": identity, "query": [[1, 0], [-1, 0]], "tokens": identity, "shots": 1}


def recheck(found: dict[str, Any]) -> bool:
    """Whether b tr C > (N - b) ||G||_F², in exact fractions."""
    value, key, query, tokens = (np.array(found[n], dtype=object) for n in ("value", "key", "query", "tokens"))
    count, shots = len(tokens), found["shots"]
    norm = int(((value @ (tokens.T @ tokens) @ key.T @ query) ** 2).sum())  # N² ||G||_F²
    return count**2 * shots * exact_trace(found, key) > (count - shots) * norm


CLAIM = Claim(
    source="Y Remark 4 (trace of the noise) read as an inequality, arXiv:2406.03768v2",
    statement="The norm of the implicit gradient need not control its noise as it does at $D = 1$: there are weights "
    "with $tr C_t > ((N-b)/b) ||G_t||_F²$.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=noise_trace,
    predict=bound,
    explanation="First layer, mean convention. Numbers of one sign cannot cancel, matrices can: then $G_t = 0$ and the "
    "noise is what it was. Where all gradients have inner products of one sign the inequality holds (a control). "
    "Multiplying the weights by $c$ multiplies $||G_t||²$ and $tr C_t$ by $c²$, but that is no bound of one by the "
    "other.",
    requires=(),
    controls=(
        Control("$W_Kᵀ W_Q = W_Vᵀ$: gradients that agree", cases=_aligned, expected=Verdict.HOLDS),
        Control(
            "gradients that agree, a thousandth of the bound", cases=_aligned, predict=lambda case: 0.001 * bound(case)
        ),
        Control("gradients that agree, sides exchanged", cases=_aligned, measure=bound, predict=noise_trace),
    ),
    cases=lambda factory: [*factory.one_layer, *(cancelling(case) for case in factory.random(1))],
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
