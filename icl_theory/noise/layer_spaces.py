"""Which gradients a layer can have at all: row and column spaces of its weights, and the ranks that follow from them.

A gradient of layer t is Σ_heads W_V M X Mᵀ W_KᵀW_Q M with X symmetric and M = I + W_{t-1} invertible. The row space of
W_V M is Mᵀ times that of W_V, the column space of MᵀW_KᵀW_Q is Mᵀ times that of W_KᵀW_Q, and the last M changes
neither. So ranks come from the weights alone: they are the same on every path, for every noise level and every input
covariance, and no rank is read off a product whose digits are spent. Where the tokens span a proper subspace T (labels
without noise) the restrictions to M T count; they are taken at one well-conditioned path, which has the ranks of almost
every path. All of it is new, not in Y (arXiv:2406.03768v2).
"""

import math
from typing import Any, NamedTuple

import numpy as np

from icl_theory.core.numerics import EPS, transpose
from icl_theory.core.ranks import definite_rank, equilibrated
from icl_theory.models.model import Model
from icl_theory.models.rank_notes import rank_notes
from icl_theory.noise.multi_head_support import SummedRank, SummedSupport, summed_map, summed_rank
from icl_theory.noise.support import FactorRanks, Space, Support, joint_ranks

_STEP = 0.25  # norm of every layer's update on the path at which restricted ranks are taken: κ(M) ≤ (5/3)^L

_LOST = 1e-11  # a space known to EPS / _LOST moves informations by some 2e-5 nats


class LayerSpaces(NamedTuple):
    """One head: the spaces of its factors, and their ranks on the tokens."""

    rows: Space
    """Row space of W_V."""
    columns: Space
    """Column space of W_Kᵀ W_Q."""
    ranks: FactorRanks
    """On the tokens' subspace: of W_V M T, of Tᵀ Mᵀ W_KᵀW_Q, and of the two together."""

    @property
    def dimension(self) -> int:
        """d_S."""
        return self.ranks.dimension


Structure = LayerSpaces | SummedRank
"""For several heads only the rank of the sum is known in this way."""


def layer_structures(model: Model, basis: np.ndarray, growth: float = 0.0) -> list[Structure]:
    """The structure of every layer for tokens that span the columns of `basis` (D, q), of full column rank.

    Args:
        model: as `checked_linear` returns it.
        basis: shape (D, q).
        growth: its error in units of rounding, where it was estimated.

    Raises: ValueError where a rank is in doubt: the numbers of a matrix do not say it and nobody declared it.
    """
    whole = basis.shape[1] == model.token_dim
    reached = np.eye(model.token_dim) if whole else np.linalg.qr(basis)[0]
    rng, result = np.random.default_rng(0), []
    for layer in range(model.layers):
        result.append(_structure(model, layer, reached, growth))
        if not whole:
            reached = np.linalg.qr(reached + _probe(model, layer, reached, rng) @ reached)[0]
    return result


def _structure(model: Model, layer: int, reached: np.ndarray, growth: float) -> Structure:
    """Ranks of one layer on the subspace (D, q) that its tokens have moved to."""
    if model.heads is not None:
        left, right = _head_factors(model, layer)
        name = f"the sum of the heads of layer {layer}"
        return summed_rank(left @ reached, reached.T @ right, model.precision, name, growth)
    names = ("value",) if model.mlp_in is None else ("mlp_out", "mlp_in", "value")
    rows = _image(model, layer, [(name, True) for name in names])
    columns = _image(model, layer, [("query", False), ("key", True)])
    name = f"the weights of layer {layer} on the tokens"
    return LayerSpaces(rows, columns, joint_ranks(name, rows, columns, reached, model.precision, growth))


def _head_factors(model: Model, layer: int) -> tuple[np.ndarray, np.ndarray]:
    """W_V, or W_out W_in W_V, and W_KᵀW_Q of every head, (heads, D, D), each up to one factor for all heads."""
    attention = model.with_heads()
    value, key, query = (a / (np.abs(a).max() or 1.0) for a in (attention.value, attention.key, attention.query))
    left = attention.replace(value=value).left_factor()[layer]
    return left, transpose(key[layer]) @ query[layer]


def _probe(model: Model, layer: int, reached: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A layer's update (D, D) on random tokens of the subspace, of norm `_STEP`."""
    root = rng.standard_normal((reached.shape[1], reached.shape[1]))
    left, right = _head_factors(model, layer)
    update = (left @ reached @ (root + root.T) @ reached.T @ right).sum(0)
    size = np.linalg.norm(update)
    return _STEP * update / size if size > 0 else update


def _image(model: Model, layer: int, factors: list[tuple[str, bool]]) -> Space:
    """The image of a product of weights, each transposed or not, the first applied first."""
    space = Space(np.eye(0), 1.0)
    for position, (name, turned) in enumerate(factors):
        matrix = getattr(model, name)[layer]
        rank = definite_rank(
            f"{name} of layer {layer}",
            matrix,
            model.precision,
            rank_notes(model.ranks, name, model.layers)[layer],
        )
        u, values, vt = np.linalg.svd(matrix / (np.abs(matrix).max() or 1.0), full_matrices=False)
        u, values, v = u[:, :rank], values[:rank], vt[:rank].T
        out, into = (v, u) if turned else (u, v)
        growth = float(values[0] / values[-1]) if rank else 1.0
        space = Space(out, growth) if position == 0 else _carried(model, layer, space, out, into, values)
    return space


def _carried(model: Model, layer: int, space: Space, out: np.ndarray, into: np.ndarray, values: np.ndarray) -> Space:
    """The image of a space under out diag(values) intoᵀ."""
    rank = len(values)
    own = float(values[0] / values[-1]) if rank else 1.0
    if rank == 0 or space.basis.shape[1] == len(space.basis):
        return Space(out, own)
    inner = into.T @ space.basis
    met = definite_rank(
        f"the product of the weights of layer {layer}", inner, model.precision, growth=own + space.growth, size=1.0
    )
    if met == rank:
        return Space(out, own)
    left, sizes, _ = np.linalg.svd(inner)
    growth = (own + space.growth) * own * (float(sizes[0] / sizes[met - 1]) if met else 1.0)
    return Space(np.linalg.qr(out @ (values[:, None] * left[:, :met]))[0], growth)


def canonical_support(structure: Structure, moved: np.ndarray, factors: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """P (K or 1, d_t, m) with z = P svec(X) as informative as the gradient of X, and as well conditioned as can be.

    z is an invertible image of the gradient: that of R̃ᵀ X C̃ for orthonormal bases R̃ and C̃ of the row space of W_V M B
    and the column space of BᵀMᵀW_KᵀW_Q M, so the sizes of the weights do not enter.

    Args:
        structure: of the layer.
        moved: M B for tokens h = B u, shape (K, D, q), X being the second moment of the u.
        factors: W_V M B and BᵀMᵀW_KᵀW_Q M, for several heads.

    Raises: LinAlgError where a path is so ill-conditioned that its spaces are lost to rounding.
    """
    width = moved.shape[-1]
    if structure.dimension == width * (width + 1) // 2:
        return np.eye(structure.dimension)[None]
    if isinstance(structure, SummedRank):
        left, right = (a / np.abs(a).max(axis=(-3, -2, -1), keepdims=True) for a in factors)
        _, values, vt = np.linalg.svd(summed_map(left, right), full_matrices=False)
        _check(values, structure.dimension)
        return vt[..., : structure.dimension, :]
    support = Support.of(*projectors(structure, moved), structure.ranks)
    _check(support.stretch, structure.ranks.joint)
    return support.matrix()


def projectors(spaces: LayerSpaces, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orthogonal projections (..., q, q) on the row space of W_V M B and the column space of BᵀMᵀW_KᵀW_Q M.

    Args:
        spaces: of the layer.
        moved: M B, shape (..., D, q).

    Raises: LinAlgError where a path is so ill-conditioned that one of them is lost to rounding.
    """
    left = _projector(transpose(moved) @ spaces.rows.basis, spaces.ranks.left)
    return left, _projector(transpose(moved) @ spaces.columns.basis, spaces.ranks.right)


def _projector(vectors: np.ndarray, rank: int) -> np.ndarray:
    """The orthogonal projection (..., q, q) on the span of vectors (..., q, r), whose rank is known."""
    if rank == vectors.shape[-2]:
        return np.broadcast_to(np.eye(rank), (*vectors.shape[:-2], rank, rank))
    u, values, _ = np.linalg.svd(vectors, full_matrices=False)
    _check(values, rank)
    return u[..., :rank] @ transpose(u[..., :rank])


def _check(values: np.ndarray, rank: int) -> None:
    """Raises: LinAlgError unless the first `rank` of descending singular values (..., n) are well above rounding."""
    if rank and not (values[..., rank - 1] > _LOST * values[..., 0]).all():
        raise np.linalg.LinAlgError("a space that is lost to rounding")


class Volume(NamedTuple):
    """log |det| of a map, and how much of it rounding leaves open."""

    value: np.ndarray
    """Nats, shape (K or 1,)."""
    doubt: np.ndarray
    """An estimate of its error, of the same shape; +inf where its digits are spent."""


def log_volume(model: Model, layer: int, m: np.ndarray, basis: np.ndarray, support: Support | SummedSupport) -> Any:
    """log |det| of X → W_V M B X BᵀMᵀW_KᵀW_Q M in units of W as a `Volume`, or None where it is not invertible.

    For one head and tokens that span everything, A = W_V M B and A⁻ᵀBᵀMᵀW_KᵀW_Q M = W_V⁻ᵀW_KᵀW_Q M =: G without B:
    X → A X Aᵀ has the determinant |det A|^(D+1), and X → X G has Π_{i≤j} ((g_i² + g_j²)/2)^{1/2}, g the singular
    values of G. So neither noise level nor input covariance costs digits; where the weights do, the support may know
    more, and the surer of the two is taken.

    Args:
        model: as `checked_linear` returns it.
        layer: counted from 0.
        m: M, shape (K, D, D).
        basis: B, shape (D, q).
        support: of the layer.
    """
    volume = support.log_volume
    if volume is None:
        return None
    own = Volume(volume, (basis.shape[1] + 1) * support.doubt)
    if model.heads is not None or basis.shape[0] != basis.shape[1]:
        return own
    size, weights, scale = len(basis), [], 0.0
    for matrix in (model.left_factor()[layer], model.key[layer], model.query[layer]):
        weights.append(matrix / np.abs(matrix).max())
        scale += math.log(np.abs(matrix).max())
    value, product = weights[0], weights[1].T @ weights[2]
    with np.errstate(all="ignore"):
        g = np.linalg.svd(np.linalg.solve(value.T, product) @ m, compute_uv=False)
        spread = np.linalg.svd(m, compute_uv=False)
        determinant = sum(np.linalg.slogdet(part)[1] for part in (value, m, basis))
        i, j = np.triu_indices(size)
        pairs = np.log(np.hypot(g[..., i], g[..., j]) / math.sqrt(2)).sum(-1)
        total = (size + 1) * determinant + pairs + size * (size + 1) / 2 * scale
        conditions = spread[..., 0] / spread[..., -1] + np.linalg.cond(value) + np.linalg.cond(equilibrated(basis))
        lost = (np.arange(size, 0, -1) * g[..., :1] / g).sum(-1)
        doubt = EPS * ((size + 1) * conditions + lost)
        doubt = np.where(np.isfinite(total) & np.isfinite(doubt), doubt, np.inf)
    better = doubt < own.doubt
    return Volume(np.where(better, total, own.value), np.where(better, doubt, own.doubt))
