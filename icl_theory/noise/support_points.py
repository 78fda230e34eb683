"""The gradients of given demonstrations as points of the support, and the rank that their covariance has."""

from typing import NamedTuple

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import transpose
from icl_theory.core.ranks import definite_rank, precision_of
from icl_theory.core.symmetric import outer_coordinates
from icl_theory.models.model import Model
from icl_theory.noise.gradient_rows import centred_values, clear_count
from icl_theory.noise.layer_spaces import Structure, canonical_support, layer_structures, log_volume, projectors
from icl_theory.noise.multi_head_support import SummedRank, support_of


class TokenSpan(NamedTuple):
    """Demonstrations h_i = B u_i with Σ u_i u_iᵀ / N = I: nothing about them is ill-conditioned in the u_i."""

    basis: np.ndarray
    """B, shape (D, q)."""
    inner: np.ndarray
    """u_i, shape (N, q)."""


class SupportPoints(NamedTuple):
    """A h_i h_iᵀ B in coordinates of the support."""

    coordinates: np.ndarray
    """Orthonormal coordinates, shape (N, d_S)."""
    features: np.ndarray | None
    """svec(u_i u_iᵀ), shape (N, d_S), where the coordinates are an invertible image of them; else None."""
    log_volume: float
    """log |det| of that map."""
    doubt: float
    """An estimate of its error."""


def token_span(tokens: np.ndarray, name: str = "tokens") -> TokenSpan:
    """B and u_i of tokens (N, D). Raises: ValueError where the dimension that they span is in doubt."""
    size = definite_rank(name, tokens, precision_of(tokens))
    u, values, vt = np.linalg.svd(tokens, full_matrices=False)
    root = np.sqrt(len(tokens))
    return TokenSpan(vt[:size].T * values[:size] / root, u[:, :size] * root)


def span_structure(model: Model, layer: int, span: TokenSpan) -> Structure:
    """The structure of one layer for these tokens."""
    return layer_structures(model.first_layers(layer + 1), span.basis)[-1]


def support_points(
    model: Model, layer: int, m: np.ndarray, span: TokenSpan, factors: tuple[np.ndarray, np.ndarray]
) -> SupportPoints:
    """The points of one layer, M (D, D) and its factors A, B (D, D) given."""
    structure, (basis, inner) = span_structure(model, layer, span), span
    if structure.dimension == 0:
        return SupportPoints(np.zeros((len(inner), 0)), None, 0.0, 0.0)
    ranks = structure if isinstance(structure, SummedRank) else structure.ranks
    support = support_of(factors[0] @ basis, basis.T @ factors[1], ranks)
    volume = log_volume(model, layer, m, basis, support)
    if volume is None:
        return SupportPoints(support.coordinates(inner), None, 0.0, 0.0)
    value, doubt = (float(np.ravel(part)[0]) for part in volume)
    return SupportPoints(support.coordinates(inner), outer_coordinates(inner), value, doubt)


def covariance_rank(structure: Structure, m: np.ndarray, span: TokenSpan, factors: tuple) -> int:
    """rank C of the gradients of these tokens: that of the centred points, which no weight makes ill-conditioned.

    At most min(N - 1, d_S), and less where the tokens repeat themselves.

    Args:
        structure: of the layer, for these tokens.
        m: M, shape (D, D).
        span: of the tokens.
        factors: A and B, (D, D) or (heads, D, D).

    Raises: ValueError where the tokens leave the rank in doubt.
    """
    basis, inner = span
    name = "the covariance of the gradients"
    if structure.dimension == 0:
        return 0
    try:
        if isinstance(structure, SummedRank):
            maps = canonical_support(structure, m @ basis, (factors[0] @ basis, basis.T @ factors[1]))
            points = outer_coordinates(inner) @ transpose(maps.reshape(-1, maps.shape[-1]))
            values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
            return min(structure.dimension, clear_count(name, values, float(np.linalg.norm(points, 2)), points.shape))
        left, right = (inner @ part for part in projectors(structure, m @ basis))
        whole = structure.ranks.left == structure.ranks.right == basis.shape[1]
        growth = 1.0 if whole else float(np.linalg.cond(m @ basis))
    except np.linalg.LinAlgError:
        got = "a trajectory that is ill-conditioned beyond rounding"
        raise checks.error(f"rank of {name}", got, "weights whose W_t keeps its digits", "scale them down") from None
    values, size = centred_values(left[None], right[None])
    return min(structure.dimension, clear_count(name, values, size, (len(inner), len(values)), growth))
