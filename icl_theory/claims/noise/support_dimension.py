"""Dimension of the support of the noise: the closed formula against a numerical rank."""

import itertools

import numpy as np
from sympy import QQ
from sympy.polys.matrices import DomainMatrix

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.models.options import Module
from icl_theory.noise.covariance import layer_factors
from icl_theory.noise.support import factor_ranks, support_dimension
from icl_theory.truncation.module_truncation import truncate_weights
from icl_theory.truncation.svd import truncate

_PLANS: tuple[tuple[Module, int], ...] = (
    ("value", 1),
    ("value", 4),
    ("query", 2),
    ("key", 5),
    ("attention", 2),
    ("attention", 4),
    ("attention", 5),
)


def _factors(case: Case) -> tuple[np.ndarray, np.ndarray]:
    left, right = layer_factors(case.model, 0, np.zeros((1, 1)))
    return left, right


def measure(case: Case) -> float:
    """Rank of the stack of gradients $A (h h'ᵀ + h' hᵀ) B$ over all pairs of basis tokens, each scaled to norm one."""
    left, right = _factors(case)
    size = len(left)
    rows, columns = np.triu_indices(size)
    stack = np.einsum("ip,jp->pij", left[:, rows], right[columns].T)
    stack = stack + np.einsum("ip,jp->pij", left[:, columns], right[rows].T)
    flat = stack.reshape(len(rows), -1)
    norms = np.linalg.norm(flat, axis=1, keepdims=True)
    values = np.linalg.svd(flat / np.where(norms > 0, norms, 1.0), compute_uv=False)
    return float((values > 1e-12 * values[0]).sum())


def predict(case: Case) -> float:
    """$d_S = rank(A) rank(B) - k(k-1)/2$."""
    return float(support_dimension(*_factors(case)))


def cases(factory: CaseFactory) -> list[Case]:
    """One-layer cases and truncations of every module."""
    sources = [*factory.one_layer[:1], *factory.one_layer[-1:]]
    cut = [
        s.with_model(truncate_weights(s.model, layer=0, module=m, rank=r), f"{m} at rank {r}", "truncated")
        for s in sources
        for m, r in _PLANS
        if r <= s.model.token_dim
    ]
    graded = [_graded(source, smallest) for source in sources for smallest in (1e-3, 1e-9)]
    return [*factory.one_layer, *cut, *graded]


def _graded(case: Case, smallest: float) -> Case:
    """W_V with singular values from 1 down to `smallest`: small, and not zero."""
    u, values, vt = np.linalg.svd(case.model.value[0])
    value = (u * np.geomspace(1.0, smallest, len(values))) @ vt
    return case.with_model(case.model.replace(value=value[None]), f"singular values down to {smallest:g}")


def _with_plus(case: Case) -> float:
    ranks = factor_ranks(*_factors(case))
    return float(ranks.left * ranks.right - ranks.overlap * (ranks.overlap + 1) // 2)


def _with_tolerance(case: Case) -> float:
    left, right = _factors(case)
    return float(support_dimension(truncate(left, int((np.linalg.svd(left)[1] > 1e-2).sum())).matrix, right))


def _exact_rank(matrix: np.ndarray) -> int:
    """Rank of a whole-number matrix over the rationals."""
    rows = [[QQ(int(entry)) for entry in row] for row in matrix]
    return int(DomainMatrix(rows, matrix.shape, QQ).rank())


def _factors_of_ranks(rng: np.random.Generator, size: int, left: int, right: int, overlap: int) -> tuple:
    """Whole-number A and B of given ranks, `overlap` the dimension that A's row space shares with B's column space."""
    below, above = np.tril(rng.integers(-2, 3, (2, 3, size, size)), -1)
    one = np.eye(size, dtype=np.int64)
    outer, frame, inner = (below + one) @ (above.swapaxes(1, 2) + one)  # three matrices of determinant 1
    start = left - overlap
    return outer[:, :left] @ frame[:, :left].T, frame[:, start : start + right] @ inner[:right]


def proof(largest: int = 6) -> bool:
    """Exact rank over the rationals for every pair of ranks and every overlap $k$, with whole-number factors up to
    $D$."""
    rng = np.random.default_rng(0)
    for size in range(1, largest + 1):
        rows, columns = np.triu_indices(size)
        for a, b in itertools.product(range(1, size + 1), repeat=2):
            for k in range(max(0, a + b - size), min(a, b) + 1):
                left, right = _factors_of_ranks(rng, size, a, b, k)
                images = left[:, rows].T[:, :, None] * right[columns][:, None, :]
                images = images + left[:, columns].T[:, :, None] * right[rows][:, None, :]
                stack = np.hstack([left.T, right])
                ranks = [_exact_rank(m) for m in (left, right, stack, images.reshape(len(rows), -1))]
                if ranks != [a, b, a + b - k, a * b - k * (k - 1) // 2]:
                    return False
    return True


CLAIM = Claim(
    source="new",
    statement="$dim {A X B : X symmetric} = rank(A) rank(B) - k(k-1)/2$, $k = dim(row space A ∩ column space B)$.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The formula is compared with the numerical rank of the images of a basis of symmetric matrices, for "
    "full and truncated $W_V$, $W_K$, $W_Q$, and for $W_V$ with singular values down to 1e-9, which are small and not "
    "zero.",
    proof=proof,
    requires=(),
    controls=(
        Control("$k(k+1)/2$ instead of $k(k-1)/2$", predict=_with_plus),
        Control("singular values below 1e-2 taken for zero", predict=_with_tolerance),
        Control("overlap ignored", predict=lambda c: float(np.prod(factor_ranks(*_factors(c))[:2]))),
        Control("$D(D+1)/2$ always", predict=lambda c: c.model.token_dim * (c.model.token_dim + 1) / 2.0),
    ),
    cases=cases,
)
