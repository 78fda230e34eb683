"""Eckart-Young: what Y's clipping keeps is the best approximation of its rank, whatever else one may try."""

from collections.abc import Callable

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.truncation.svd import truncate

_NAMES = ("value", "key", "query")


def kept(matrix: np.ndarray, rank: int) -> np.ndarray:
    """W_r of the library."""
    return truncate(matrix, rank).matrix


def errors(case: Case, cut: Callable[[np.ndarray, int], np.ndarray] = kept) -> np.ndarray:
    """$||W - W_r||_F²$ of the first layer's matrices at every rank below D, shape (3, D)."""
    matrices = [getattr(case.model, name)[0] for name in _NAMES]
    return np.array([[((m - cut(m, r)) ** 2).sum() for r in range(len(m))] for m in matrices])


def least(case: Case) -> np.ndarray:
    """Sum of the $D - r$ smallest eigenvalues of $W Wᵀ$: by Ky Fan no X of rank r is nearer."""
    matrices = [getattr(case.model, name)[0] for name in _NAMES]
    spectra = [np.linalg.eigvalsh(m @ m.T)[::-1] for m in matrices]
    return np.array([[spectrum[r:].sum() for r in range(len(spectrum))] for spectrum in spectra])


def _sketched(matrix: np.ndarray, rank: int) -> np.ndarray:
    """The projection on the image of r random directions, a randomised SVD without oversampling."""
    directions = np.random.default_rng(rank).standard_normal((len(matrix), rank))
    basis, _ = np.linalg.qr(matrix @ directions)
    return basis @ (basis.T @ matrix)


def _columns(matrix: np.ndarray, rank: int) -> np.ndarray:
    """The r largest columns."""
    order = np.argsort(-(matrix**2).sum(axis=0))[:rank]
    result = np.zeros_like(matrix)
    result[:, order] = matrix[:, order]
    return result


CLAIM = Claim(
    source="Y Section 2 (optimal low-rank approximation), arXiv:2406.03768v2; Eckart and Young 1936",
    statement="$||W - W_r||_F² = Σ_{i>r} σ_i²$, the least that any matrix of rank $r$ attains.",
    origin="paper",
    relation="equal",
    measure=errors,
    predict=least,
    explanation="$W_V$, $W_K$ and $W_Q$ of the first layer at every rank from 0. The other side comes from the "
    "eigenvalues of $W Wᵀ$: a matrix of rank $r$ leaves a space of $D - r$ directions, in which $W$ has at least their "
    "sum. The clipping rate is printed as $ξ$ in (0, 1); the algorithm tries $ξ = 0$ too.",
    requires=(),
    controls=(
        Control("a randomised SVD without oversampling", measure=lambda case: errors(case, _sketched)),
        Control("the largest columns kept", measure=lambda case: errors(case, _columns)),
        Control("one rank less", measure=lambda case: errors(case, lambda m, r: kept(m, max(r - 1, 0)))),
    ),
    cases=lambda factory: [
        *factory.random(1),
        *factory.random(factory.depth),
        *factory.trained(1),
        *factory.trained(factory.depth),
    ],
    tolerance=1e-10,
)
