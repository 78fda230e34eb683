"""The hypothesis C_t ≻ 0 of Theorem 2: never met for D ≥ 2."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.noise.covariance import gradient_noise

_MANY = 100  # demonstrations, more than D² = 36, so that a lack of data is not the reason


def _tokens(case: Case) -> np.ndarray:
    rng = np.random.default_rng(case.seed)
    return case.task.sample_tokens(rng, case.task_vector[None], _MANY)[0]


def is_definite(case: Case) -> bool:
    """Whether $C_1$ has full rank $D²$, by a dense singular value decomposition."""
    noise = gradient_noise(case.model, _tokens(case), shots=20)
    values = np.linalg.svd(noise.dense(), compute_uv=False)
    return bool(values[-1] > 1e-13 * values[0])


def _with_floor(case: Case) -> bool:
    dense = gradient_noise(case.model, _tokens(case), shots=20).dense()
    values = np.linalg.svd(dense + 1e-3 * np.trace(dense) * np.eye(len(dense)), compute_uv=False)
    return bool(values[-1] > 1e-13 * values[0])


def _unrelated_factors(case: Case) -> bool:
    """Gradients a_i b_iᵀ whose two factors come from different tokens: the support is then everything."""
    tokens = _tokens(case)
    gradients = np.einsum("ni,nj->nij", tokens, np.roll(tokens, 1, axis=0)).reshape(_MANY, -1)
    values = np.linalg.svd(np.cov(gradients.T), compute_uv=False)
    return bool(values[-1] > 1e-13 * values[0])


CLAIM = Claim(
    source="new, on the hypothesis of Y Theorem 2, arXiv:2406.03768v2",
    statement="For $D ≥ 2$ the noise covariance $C_t$ is never positive definite.",
    origin="new",
    relation="never",
    measure=is_definite,
    explanation="With 100 demonstrations and $D² = 36$ a lack of data is not the reason: gradients $A h hᵀ B$ share a "
    "support of dimension at most $D(D+1)/2$.",
    controls=(
        Control("a noise floor added", measure=_with_floor),
        Control("gradients of unrelated factors", measure=_unrelated_factors),
    ),
)
