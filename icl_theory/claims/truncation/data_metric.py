"""Activation-aware truncation: the best matrix of rank r for tokens with second moment C, which may be singular."""

from typing import Any

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.truncation.svd import truncate

_NAMES = ("value", "key", "query")


def moments(case: Case) -> list[np.ndarray]:
    """C of all demonstrations, and of three of them: a singular one."""
    tokens = case.demonstrations
    return [tokens.T @ tokens / len(tokens), tokens[:3].T @ tokens[:3] / 3]


def errors(case: Case, metric: str = "inputs") -> np.ndarray:
    """$E |W h - W_r h|²$ over the tokens, for every matrix, moment and rank below D."""
    result = []
    for name in _NAMES:
        matrix = getattr(case.model, name)[0]
        for moment in moments(case):
            options: dict[str, Any] = {metric: moment} if metric else {}
            rests = [matrix - truncate(matrix, rank, **options).matrix for rank in range(len(matrix))]
            result.append([np.trace(rest @ moment @ rest.T) for rest in rests])
    return np.array(result)


def least(case: Case) -> np.ndarray:
    """Sum of the $D - r$ smallest eigenvalues of $W C Wᵀ$."""
    spectra = [
        np.linalg.eigvalsh(m @ moment @ m.T)[::-1]
        for m in (getattr(case.model, name)[0] for name in _NAMES)
        for moment in moments(case)
    ]
    return np.array([[spectrum[r:].sum() for r in range(len(spectrum))] for spectrum in spectra])


CLAIM = Claim(
    source="new for a singular $C$; the idea of SVD-LLM (arXiv:2403.07378) and ASVD (arXiv:2312.05821)",
    statement="$W_r = U_r U_rᵀ W$, $U_r$ the leading eigenvectors of $W C Wᵀ$, has the least $E |W h - W_r h|²$ of its "
    "rank over tokens with $E h hᵀ = C$.",
    origin="new",
    relation="equal",
    measure=errors,
    predict=least,
    explanation="All three matrices of the first layer at every rank, for the second moment of 20 demonstrations and "
    "of three, which is singular: no inverse of $C$ is needed. The least error is a sum of eigenvalues of $W C Wᵀ$.",
    requires=(),
    controls=(
        Control("plain SVD", measure=lambda case: errors(case, "")),
        Control("the metric on the other side", measure=lambda case: errors(case, "outputs")),
        Control("least error off by 1 %", predict=lambda case: 1.01 * least(case)),
    ),
    cases=lambda factory: [
        *factory.random(1),
        *factory.random(factory.depth),
        *factory.trained(1),
        *factory.trained(factory.depth),
    ],
    # Of an entry that is a difference: the smallest eigenvalues of W C Wᵀ lose digits to the largest.
    tolerance=1e-9,
)
