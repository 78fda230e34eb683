"""Determinants and whitening from a square root of a covariance, for stacks of them."""

import numpy as np

from icl_theory.core.numerics import transpose

# A pivot of relative size r carries an error of about EPS / r into the log-determinant: 2e-5 nats at this limit.
SMALLEST_PIVOT = 1e-11


def covariance_root(covariance: np.ndarray) -> np.ndarray:
    """Lower triangular F with C = F Fᵀ for a stack (..., d, d), scaled to unit diagonal on the way.

    Raises numpy.linalg.LinAlgError where a matrix is not positive definite; no jitter is added.
    """
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    if not (variance > 0).all():
        raise np.linalg.LinAlgError("a variance is not positive")
    deviation = np.sqrt(variance)
    correlation = covariance / (deviation[..., None] * deviation[..., None, :])
    return deviation[..., None] * np.linalg.cholesky(correlation)


def _triangle(root: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """R and row norms s of F (..., d, m) with F Fᵀ = diag(s) RᵀR diag(s), log det F Fᵀ, and whether it has digits.

    By QR of the roots, never through the product: a condition number that is squared loses the small directions of
    graded or truncated weights.
    """
    norms = np.linalg.norm(root, axis=-1)
    triangle = np.asarray(np.linalg.qr(transpose(root / np.where(norms > 0, norms, 1.0)[..., None]), mode="r"))
    diagonal = np.abs(np.diagonal(triangle, axis1=-2, axis2=-1))
    known = (norms > 0).all(-1) & (diagonal > SMALLEST_PIVOT).all(-1)
    with np.errstate(divide="ignore"):
        volume = 2 * (np.log(diagonal).sum(-1) + np.log(norms).sum(-1))
    return triangle, norms, volume, known


def log_determinant(root: np.ndarray, spent: float | None = None) -> np.ndarray:
    """log det F Fᵀ of a stack of roots (..., d, m), m ≥ d.

    Args:
        root: F.
        spent: the value where the determinant is rounding; None to refuse.

    Raises: LinAlgError where a matrix is singular to rounding, unless `spent` is given.
    """
    _, _, volume, known = _triangle(root)
    if spent is None and not known.all():
        raise np.linalg.LinAlgError("singular to rounding")
    return volume if spent is None else np.where(known, volume, spent)


def seen_singular(root: np.ndarray) -> str:
    """Of tokens whose law does not say whether a covariance F Fᵀ can be singular, some runs may show it."""
    if root.shape[-1] < root.shape[-2]:
        return ""
    bad = int(np.isneginf(log_determinant(root, spent=-np.inf)).sum())
    reason = f"the covariance is singular on its support in {bad} of {len(root)} runs; a noise floor removes this"
    return reason if bad else ""


def whitening(root: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """W with W F Fᵀ Wᵀ = I for a stack of roots (..., d, m), and log det F Fᵀ; LinAlgError where it is singular."""
    triangle, norms, log_volume, known = _triangle(root)
    if not known.all():
        raise np.linalg.LinAlgError("singular to rounding")
    return np.linalg.inv(transpose(triangle)) / norms[..., None, :], log_volume


def with_floor(root: np.ndarray, floor: float) -> np.ndarray:
    """A root of F Fᵀ + ε² I: the columns of ε I are appended to those of F."""
    if floor == 0:
        return root
    width = root.shape[-2]
    extra = np.broadcast_to(np.sqrt(floor) * np.eye(width), (*root.shape[:-1], width))
    return np.concatenate([root, extra], axis=-1)
