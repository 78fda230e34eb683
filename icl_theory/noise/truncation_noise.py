"""The gradient noise of one layer at every rank of one of its matrices, from one singular value decomposition.

Truncation at rank r keeps the first r singular directions, so the factors of the gradients are running sums over them.
For few demonstrations (N - 1 < d_S) the spectra of the N gradients follow rank by rank. For many, the supports of all
ranks are nested: in coordinates adapted to the singular directions they are the first rD - r(r-1)/2 of the same
features, and the pivots of one triangular factor give every log-determinant. All of it is new, not in Y
(arXiv:2406.03768v2).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result
from icl_theory.core.symmetric import outer_coordinates, symmetric_pairs
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.checked import checked_linear
from icl_theory.models.model import Model
from icl_theory.models.options import Matrix
from icl_theory.models.rank_notes import changed, rank_after, rank_notes
from icl_theory.noise.covariance import WeightRounding, sampling_factor, surely_full
from icl_theory.noise.gradient_rows import centred_values, clear_count, log_squares
from icl_theory.noise.layer_spaces import Structure
from icl_theory.noise.support import FactorRanks, Support
from icl_theory.noise.support_points import TokenSpan, covariance_rank, span_structure, token_span

Decomposition = tuple[np.ndarray, np.ndarray, np.ndarray]


@fields_in_help
@dataclass(frozen=True, repr=False)
class TruncationNoise(Result):
    """Rank, trace and log-pseudo-determinant of C_t when one matrix of the layer is kept at rank r.

    Example:
        >>> import numpy as np
        >>> from icl_theory import random_weights, truncation_noise
        >>> tokens = np.random.default_rng(0).standard_normal((20, 3))
        >>> found = truncation_noise(random_weights(0, layers=1, token_dim=3), tokens, shots=5, module="value")
        >>> found.ranks.tolist(), found.dimension.tolist()
        ([1, 2, 3], [3, 5, 6])
    """

    ranks: np.ndarray
    """r, ascending, shape (R,)."""
    dimension: np.ndarray
    """rank C_t at every r: min(N - 1, d_S(r)), shape (R,)."""
    trace: np.ndarray
    """tr C_t, shape (R,)."""
    logs: np.ndarray
    """`log_pseudo_determinant`, NaN where rounding leaves fewer than nine of its digits, shape (R,)."""
    spectra: tuple[np.ndarray, ...] | None
    """The nonzero eigenvalues, descending, for every r where N - 1 < d_S; None where one factor served all ranks."""

    @property
    def log_pseudo_determinant(self) -> np.ndarray:
        """Σ log λ over the nonzero eigenvalues of C_t, shape (R,).

        Raises: ValueError where ill-conditioned gradients leave fewer than nine of its digits at some rank.
        """
        lost = self.ranks[np.isnan(self.logs)].tolist()
        if lost:
            got = f"gradients so ill-conditioned that rounding has spent it at rank {', '.join(map(str, lost))}"
            raise checks.error("log-pseudo-determinant", got, "nine of its digits", "leave these ranks out")
        return self.logs


def truncation_noise(
    model: Model,
    tokens: Any,
    *,
    shots: int,
    module: Matrix,
    layer: int = 0,
    ranks: Iterable[int] | None = None,
    decomposition: Decomposition | None = None,
) -> TruncationNoise:
    """Rank, trace and volume of C_t as `gradient_noise` of `truncate_weights` gives them, for all ranks at once.

    With R ranks O(N D² + R (N² D + N³)) for W_V and W_Q in the first layer, R N D² more elsewhere, and up to O(N² D²)
    at a rank where the gradients are ill-conditioned; with N > d_S one O(N d_S²) factorisation and O(D³) per rank.
    Nothing of size D² x D².

    Args:
        model: a single model: linear attention over all demonstrations, one head, no MLP.
        tokens: the demonstrations, shape (N, D).
        shots: b < N.
        module: "value", "key" or "query".
        layer: counted from 0; the layers before it stay as they are.
        ranks: from 1 to D, all if None; sorted.
        decomposition: (U, σ, Vᵀ) of the matrix; computed if None.

    Returns: `TruncationNoise`.
    Raises: ValueError for anything out of range, an MLP, several heads, or wrong shapes.

    Example:
        >>> import numpy as np
        >>> from icl_theory import gradient_noise, random_weights, truncate_weights, truncation_noise
        >>> tokens = np.random.default_rng(0).standard_normal((20, 3))
        >>> model = random_weights(0, layers=1, token_dim=3)
        >>> found = truncation_noise(model, tokens, shots=5, module="key")
        >>> cut = truncate_weights(model, layer=0, module="key", rank=1)
        >>> bool(np.isclose(found.trace[0], gradient_noise(cut, tokens, shots=5).trace))
        True
    """
    tokens = checks.array("tokens", tokens, (None, None), "pass one token per row")
    count, dimension = tokens.shape
    model = checked_linear(model, dimension, "the noise at every rank")
    if model.mlp_in is not None or model.heads is not None:
        got = "an MLP" if model.mlp_in is not None else "several heads"
        raise checks.error("model", got, "one head alone", "use gradient_noise of the truncated model")
    checks.choice("module", module, ("value", "key", "query"))
    layer = checks.integer("layer", layer, 0, model.layers - 1, "layers are counted from 0")
    shots = checks.integer("shots", shots, 1, count - 1, "show at least one and not all of them")
    chosen = range(1, dimension + 1) if ranks is None else ranks
    chosen = sorted({checks.integer("ranks", rank, 1, dimension, "a rank is at most the side") for rank in chosen})
    u, values, vt = np.linalg.svd(getattr(model, module)[layer]) if decomposition is None else decomposition
    cut = _Cut(model, tokens, layer, module, u, values, vt)
    scale = sampling_factor(count, shots) / count
    return _nested(cut, chosen, scale) if cut.generic(chosen) else _one_by_one(cut, chosen, scale)


@dataclass(frozen=True)
class _Cut:
    """One layer, and the singular vectors of the matrix that is truncated in it."""

    model: Model
    tokens: np.ndarray
    layer: int
    module: Matrix
    u: np.ndarray
    values: np.ndarray
    vt: np.ndarray

    @cached_property
    def accumulated(self) -> np.ndarray | None:
        """M = I + W_{t-1} of the noise-free trajectory; None for the identity of the first layer."""
        if self.layer == 0:
            return None
        earlier = self.model.first_layers(self.layer)
        return np.eye(earlier.token_dim) + implicit_trajectory(earlier, self.tokens).accumulated[-1]

    @property
    def moved(self) -> np.ndarray:
        """M h_i, shape (N, D)."""
        return self.tokens if self.accumulated is None else self.tokens @ self.accumulated.T

    def map(self) -> np.ndarray:
        """M, (D, D)."""
        return np.eye(self.model.token_dim) if self.accumulated is None else self.accumulated

    def factors(self, ranks: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray, bool]]:
        """a_i and b_i, each (N, D), at every rank, and whether it is the a_i that change.

        The factor that is cut grows by the singular directions between one rank and the next.
        """
        m, w, moved = self.accumulated, self.model, self.moved
        value, key, query = (a[self.layer] for a in (w.value, w.key, w.query))
        if self.module == "value":
            fixed, source = (moved @ key.T) @ query, moved @ self.vt.T
        else:
            fixed, source = moved @ value.T, moved @ key.T @ self.u if self.module == "query" else moved @ self.vt.T
        if self.module == "value" and m is not None:
            fixed = fixed @ m
        total, start = np.zeros_like(moved), 0
        for rank in ranks:
            part = slice(start, rank)
            outward = self.vt[part] if self.module == "query" else self.u[:, part].T
            step = (source[:, part] * self.values[part]) @ outward
            if self.module == "key":
                step = step @ query
            if self.module != "value" and m is not None:
                step = step @ m
            total, start = total + step, rank
            yield (total, fixed, True) if self.module == "value" else (fixed, total, False)

    def matrices(self, ranks: list[int]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The factor that is cut (rows outward, columns towards X) and the other one: A_r, B or B_rᵀ, Aᵀ."""
        m, w = self.map(), self.model
        value, key, query = (a[self.layer] for a in (w.value, w.key, w.query))
        for rank in ranks:
            low = (self.u[:, :rank] * self.values[:rank]) @ self.vt[:rank]
            if self.module == "value":
                yield low @ m, m.T @ key.T @ query @ m
            else:
                inner = key.T @ low if self.module == "query" else low.T @ query
                yield (m.T @ inner @ m).T, (value @ m).T

    def flag(self) -> np.ndarray:
        """Orthonormal Q (D, D) whose first r columns span the directions of X that rank r lets through."""
        inward = self.model.key[self.layer].T @ self.u if self.module == "query" else self.vt.T
        return np.linalg.qr(self.map().T @ inward)[0]

    @cached_property
    def span(self) -> TokenSpan:
        """The tokens in coordinates in which they are well conditioned."""
        return token_span(self.tokens)

    def structure(self, rank: int) -> Structure:
        """Which gradients there are at that rank."""
        matrices, index = getattr(self.model, self.module).copy(), self.layer
        notes = rank_notes(self.model.ranks, self.module, self.model.layers)
        notes[index] = rank_after(matrices[index], notes[index], rank, self.model.precision)
        matrices[index] = (self.u[:, :rank] * self.values[:rank]) @ self.vt[:rank]
        ranks = changed(self.model.ranks, self.module, notes)
        return span_structure(self.model.replace(**{self.module: matrices}, ranks=ranks), index, self.span)

    def generic(self, ranks: list[int]) -> bool:
        """Whether S has all directions, the other factor is invertible and every rank is the nominal one."""
        full = self.model.token_dim
        if len(self.tokens) - 1 < full * (full + 1) // 2:
            return False
        inner = self.span.inner
        if inner.shape[1] < full:
            return False
        points = outer_coordinates(inner)
        values = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
        size = float(np.linalg.norm(points, 2))
        if clear_count("the second moments of the tokens", values, size, points.shape) < points.shape[1]:
            return False
        for rank in ranks:
            expected = (rank, full, full) if self.module == "value" else (full, rank, full)
            if getattr(self.structure(rank), "ranks", None) != expected:
                return False
        return True


def _one_by_one(cut: _Cut, ranks: list[int], scale: float) -> TruncationNoise:
    """From the spectrum of the centred gradients at every rank; all share the Gram matrix of the fixed factor."""
    spectra, logs, other, m, known = [], [], None, cut.map(), WeightRounding.of(cut.model, cut.layer)
    few = len(cut.tokens) <= cut.model.token_dim**2
    for rank, (left, right, left_changes) in zip(ranks, cut.factors(ranks), strict=True):
        moving, fixed = (left, right) if left_changes else (right, left)
        other = fixed @ fixed.T if other is None and few else other
        gram = None if other is None else (moving @ moving.T) * other
        values, size = centred_values(left[None], right[None], gram)
        full = surely_full((values, size), known, cut.moved, (left, right))
        kept = len(values) if full else covariance_rank(cut.structure(rank), m, cut.span, ())
        spectra.append(scale * values[:kept] ** 2)
        logs.append(_log_or_nan(values[:kept], size, kept * np.log(scale)))
    sizes = [len(values) for values in spectra]
    traces = [float(values.sum()) for values in spectra]
    return TruncationNoise(np.array(ranks), np.array(sizes), np.array(traces), np.array(logs), tuple(spectra))


def _log_or_nan(values: np.ndarray, size: float, shift: float, doubt: float = 0.0) -> float:
    """`log_squares`, NaN where that refuses: one rank must not take the others with it."""
    try:
        return log_squares(values, size, shift, doubt)
    except checks.InvalidInputError:
        return np.nan


def _nested(cut: _Cut, ranks: list[int], scale: float) -> TruncationNoise:
    """From one triangular factor of the features svec(Qᵀ h hᵀ Q), Q the orthonormal flag of the cut factor's rows.

    C_t at rank r has its support in the rows i ≤ r of Qᵀ X Q, hence log pdet C = log det of the leading block of the
    features' covariance + 2 log |det| of the map from there to the gradients.
    """
    full = cut.model.token_dim
    flag = cut.flag()
    points = cut.tokens @ flag
    i, j, weight = symmetric_pairs(full)  # ordered by i, so that the first rows come first
    features = points[:, i] * points[:, j] * weight
    triangle = np.linalg.qr((features - features.mean(axis=0)) * np.sqrt(scale), mode="r")
    pivots = np.r_[0.0, 2 * np.cumsum(np.log(np.abs(np.diagonal(triangle))))]
    weights_of = np.r_[0.0, np.cumsum(np.log(weight))]
    logs, traces, sizes = [], [], []
    for rank, (left, right), (a, b, _) in zip(ranks, cut.matrices(ranks), cut.factors(ranks), strict=True):
        size = rank * full - rank * (rank - 1) // 2
        volume, doubt = _log_volume(left @ flag, flag.T @ right, rank)
        shift = float(pivots[size] + 2 * volume - 2 * weights_of[size])
        mean = a.T @ b / len(a)
        lengths = (a**2).sum(axis=1) * (b**2).sum(axis=1)
        logs.append(_log_or_nan(np.ones(1), 0.0, shift, 2 * doubt))
        traces.append(scale * float(lengths.sum() - len(a) * (mean**2).sum()))
        sizes.append(size)
    return TruncationNoise(np.array(ranks), np.array(sizes), np.array(traces), np.array(logs), None)


def _log_volume(left: np.ndarray, right: np.ndarray, rank: int) -> tuple[float, float]:
    """log |det| of X → A X B, from the entries X_ij, i ≤ j, i ≤ r, to orthonormal coordinates of the gradients.

    With it an estimate of its error.

    A (D, D) has its rows in the first r coordinates, so that Y of the generalised SVD is block triangular: the entries
    map by Y_11 on both sides where i, j ≤ r, and by Y_11 and Y_22 where j > r.
    """
    full = len(left)
    support = Support.of(left, right, FactorRanks(rank, full, full))
    inner = np.linalg.slogdet(support.transform[:rank, :rank])[1]
    outer = np.linalg.slogdet(support.transform[rank:, rank:])[1] if rank < full else 0.0
    volume = float(np.log(support.scales).sum() + (full + 1) * inner + rank * outer)
    return volume, float((full + 1) * support.doubt)
