"""Singular values of the centred gradients vec(g_i - G) from their factors, without the D² numbers of each."""

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import EPS
from icl_theory.core.ranks import CLEAR, ZERO

# Relative to the size of all gradients together. A Gram matrix squares condition numbers: its smallest eigenvalue is
# used where that costs no more than a factor of 1e3 over rounding.
_SMALLEST_OF_GRAM = 1e-3
DIGITS = 1e-9
CLEARLY = 1e3  # times rounding


def centred_values(left: np.ndarray, right: np.ndarray, gram: np.ndarray | None = None) -> tuple[np.ndarray, float]:
    """Singular values of the rows vec(g_i - G), g_i = Σ_h a_i b_iᵀ, descending, and the norm of the rows vec g_i.

    O(N² D + N³) from the Gram matrix of the g_i where that is well conditioned. Where it is not, squaring would lose
    the small values, and they come from a triangular factor of the rows: 2 N² p q flops for a_i and b_i that span p and
    q ≤ N dimensions, and memory for N² + 4 N max(N, q) numbers.

    Args:
        left: a_i by head, (heads, N, D).
        right: b_i by head, (heads, N, D).
        gram: ⟨g_i, g_j⟩, (N, N); computed where needed if None.
    """
    count = left.shape[1]
    if left.shape[2] * right.shape[2] >= count:  # else the rank is certainly below N - 1
        gram = gram_matrix(left, right) if gram is None else gram
        means = gram.mean(axis=0)
        values = np.linalg.eigvalsh(gram - means - means[:, None] + means.mean())[::-1]
        size = values[0] + count * means.mean()
        if values[-2] > _SMALLEST_OF_GRAM * size:
            return np.sqrt(values[:-1]), float(np.sqrt(size))  # the one left out is that of the mean
    rows = _triangle(_compressed(left), _compressed(right))
    size = float(np.linalg.norm(rows, 2)) if rows.size else 0.0
    return np.linalg.svd(rows - rows.mean(axis=1, keepdims=True), compute_uv=False)[: count - 1], size


def clear_count(name: str, values: np.ndarray, size: float, shape: tuple[int, ...], growth: float = 1.0) -> int:
    """How many singular values (n,) are not rounding of rows of norm `size`.

    Args:
        name: of what has the rank, for the message.
        values: descending, shape (n,).
        size: norm of the rows before they were centred.
        shape: of the rows.
        growth: how many times larger than one rounding the error of the rows is.

    Raises: ValueError where a value is neither clearly rounding nor clearly not.
    """
    zero = ZERO * EPS * np.sqrt(max(shape)) * size * growth
    least, most = int((values > CLEAR * zero).sum()), int((values > zero).sum())
    if least < most:
        got = f"a singular value of {values[least] / size:.1e} of all gradients together"
        hint = "leave out demonstrations that nearly repeat others, or use more of them"
        raise checks.error(f"rank of {name}", got, "values that are clearly zero or clearly not", hint)
    return least


def log_squares(values: np.ndarray, size: float, shift: float = 0.0, doubt: float = 0.0) -> float:
    """`shift` + Σ log σ_k² for singular values (n,) known to EPS times `size`, `shift` known to `doubt`.

    Raises: ValueError where nine digits of the sum (nine decimals below 1) are not known.
    """
    if not len(values):
        return shift
    with np.errstate(divide="ignore"):
        total = float(2 * np.log(values).sum()) + shift
        doubt += float(2 * EPS * size * (1 / values).sum())
    if not doubt < DIGITS * max(1.0, abs(total)):
        got = f"gradients so ill-conditioned that rounding leaves {doubt:.1e} of it open"
        hint = "the rank is known all the same; for the determinant truncate the weights further, or use a floor"
        raise checks.error("log-pseudo-determinant of C", got, f"at most {DIGITS:g} of its size", hint)
    return total


def gram_matrix(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """⟨g_i, g_j⟩ = Σ_hk (a_i · a_j) (b_i · b_j) over pairs of heads, shape (N, N)."""
    heads = list(zip(left, right, strict=True))
    return np.sum([(a @ c.T) * (b @ d.T) for a, b in heads for c, d in heads], axis=0)


def _compressed(factors: np.ndarray) -> np.ndarray:
    """The same vectors (heads, N, D) in orthonormal coordinates of their span, (heads, N, p)."""
    u, values, _ = np.linalg.svd(factors.reshape(-1, factors.shape[2]), full_matrices=False)
    kept = int((values > EPS * values[0]).sum())
    return (u[:, :kept] * values[:kept]).reshape(*factors.shape[:2], kept)


def _triangle(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """T (·, N) with TᵀT = ⟨g_i, g_j⟩, by QR of the vec g_i in blocks and not from that product."""
    count = left.shape[1]
    step = max(1, 4 * count // max(1, right.shape[2]))
    triangle = np.zeros((0, count))
    for start in range(0, left.shape[2], step):
        block = np.einsum("hni,hnj->ijn", left[:, :, start : start + step], right).reshape(-1, count)
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, block]), mode="r"))
    return triangle
