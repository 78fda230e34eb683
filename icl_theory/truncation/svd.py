"""Truncation of weight matrices by singular value decomposition, clipping rates and condition numbers."""

from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from icl_theory.core import checks
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.ranks import Precision, coarsest, possible_precisions, precision_of, rank_range
from icl_theory.core.results import Result
from icl_theory.models.checked import checked
from icl_theory.models.constructions import one_layer_optimum, preconditioner_risk
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.models.rank_notes import changed, rank_after, rank_notes
from icl_theory.tasks.base import Task, square_root

MODULES = get_args(Module)
_MATRICES = {
    "value": ("value",),
    "key": ("key",),
    "query": ("query",),
    "attention": ("value", "key", "query"),
    "mlp": ("mlp_in", "mlp_out"),
    "all": ("value", "key", "query", "mlp_in", "mlp_out"),
}


@fields_in_help
@dataclass(frozen=True, repr=False)
class Truncation(Result):
    """A matrix at lower rank, and what was kept and dropped.

    Example:
        >>> import numpy as np
        >>> from icl_theory import truncate
        >>> found = truncate(np.diag([3.0, 2.0, 1.0]), 2)
        >>> found.kept, found.dropped
        (array([3., 2.]), array([1.]))
    """

    matrix: np.ndarray
    """The best approximation of rank `len(kept)`, same shape as the input."""
    kept: np.ndarray
    """Singular values kept, descending (those of the whitened matrix if a metric was given)."""
    dropped: np.ndarray
    """Singular values set to zero, descending."""


def truncate(matrix: Any, rank: int, *, metric: Any = None) -> Truncation:
    """W_r = argmin ||W - W_r||_F over rank r; with a metric Λ the norm is ||Λ^{1/2} (W - W_r) Λ^{1/2}||_F.

    Args:
        matrix: W, shape (m, n).
        rank: r in 0..min(m, n); 0 gives the zero matrix.
        metric: Λ, positive definite, shape (n, n) with m = n; the exact SVD of Λ^{1/2} W Λ^{1/2} is cut.

    Returns: `Truncation`.
    Raises: ValueError for a rank out of range, NaN or a singular metric.
    Source: Eckart and Young 1936; Y Section 3.4 (arXiv:2406.03768v2); the whitened metric is new.

    Example:
        >>> import numpy as np
        >>> from icl_theory import truncate
        >>> truncate([[2.0, 0.0], [0.0, 1.0]], 1).matrix
        array([[2., 0.],
               [0., 0.]])
    """
    matrix = checks.array("matrix", matrix, (None, None))
    rank = checks.integer("rank", rank, 0, min(matrix.shape), "a rank is at most the smaller side")
    if metric is None:
        u, values, vt = np.linalg.svd(matrix, full_matrices=False)
        return Truncation((u[:, :rank] * values[:rank]) @ vt[:rank], values[:rank], values[rank:])
    size = matrix.shape[1]
    matrix = checks.array("matrix", matrix, (size, size), "a metric needs a square matrix")
    metric = checks.covariance("metric", metric, size)
    root = square_root(metric)
    # Of the metric itself: an eigenvalue that is zero up to rounding, 1e-16, would be 1e-8 in its root.
    if np.linalg.matrix_rank(metric, hermitian=True) < size:
        raise checks.error("metric", "a singular matrix", "a positive definite metric", "add a floor to it")
    whitened = truncate(root @ matrix @ root, rank)
    inverse = np.linalg.inv(root)
    return Truncation(inverse @ whitened.matrix @ inverse, whitened.kept, whitened.dropped)


@fields_in_help
@dataclass(frozen=True, repr=False)
class TruncationCurves(Result):
    """Exact population risk of the one-layer optimum at every rank m = 0, ..., d_x, cut in three ways.

    Example:
        >>> from icl_theory import LinearRegression, truncation_curves
        >>> curves = truncation_curves(LinearRegression(2), shots=10)
        >>> [round(float(risk), 4) for risk in curves.best]
        [2.0, 1.2308, 0.4615]
    """

    best: np.ndarray
    """The best P of rank m, shape (d_x + 1,)."""
    whitened: np.ndarray
    """P* cut in the metric Λ (see `truncate`), shape (d_x + 1,)."""
    plain: np.ndarray
    """P* cut by its own SVD, shape (d_x + 1,)."""


def truncation_curves(task: Task, *, shots: int) -> TruncationCurves:
    """E (x_q · P S_xy - y_q)² against the rank of P: the best P of each rank, and P* truncated plainly or whitened.

    The truncation trap: for anisotropic Λ the largest singular values of P* belong to the smallest inputs, so that
    its plain SVD keeps the wrong directions; the metric Λ corrects that. For Ω ∝ I and Gaussian inputs
    whitened = best exactly (Λ, P* and E S_xy S_xyᵀ commute); best ≤ whitened and best ≤ plain always.

    Args:
        task: as in `one_layer_optimum`.
        shots: N.

    Returns: `TruncationCurves` in squared label units.
    Raises: ValueError as `one_layer_optimum`.
    Source: new.

    Example:
        >>> import numpy as np
        >>> from icl_theory import LinearRegression, truncation_curves
        >>> curves = truncation_curves(LinearRegression(2, covariance=np.diag([4.0, 1.0])), shots=10)
        >>> bool(curves.plain[1] > curves.best[1]), bool(np.isclose(curves.whitened[1], curves.best[1]))
        (True, True)
    """
    model, _ = one_layer_optimum(task, shots=shots)
    optimum = model.query[0, :-1, :-1].T  # P, see `gradient_descent_weights`

    def curve(metric: Any) -> np.ndarray:
        cuts = (truncate(optimum, rank, metric=metric).matrix for rank in range(task.dim + 1))
        return np.array([preconditioner_risk(cut, task, shots) for cut in cuts])

    best = np.array([one_layer_optimum(task, shots=shots, rank=rank)[1] for rank in range(task.dim + 1)])
    return TruncationCurves(best, curve(task.covariance), curve(None))


def rank_of_rate(rate: float, rows: int, columns: int) -> int:
    """Rank r kept at clipping rate ξ = 1 - r / min(m, n), rounded down; a rate that means rank 0 is an error.

    Raises: ValueError for a rate outside [0, 1) or one that would keep nothing (`truncate` takes rank 0).
    """
    rate = checks.number("rate", rate, low=0.0, hint="a clipping rate lies in [0, 1)")
    side = min(rows, columns)
    rank = int(np.floor(side * (1 - rate) + 1e-9))
    if rank < 1:
        raise checks.error(
            "rate",
            f"{rate:g} for a {rows} x {columns} matrix",
            f"at most {1 - 1 / side:g}",
            "use rank=0 instead",
        )
    return rank


def module_rank(model: Model, module: Module) -> int:
    """The largest rank that `module` can be truncated to: the smallest side of its matrices."""
    names = _present(model, module)
    return min(min(getattr(model, name).shape[-2:]) for name in names)


def _present(model: Model, module: Module) -> tuple[str, ...]:
    checks.choice("module", module, MODULES)
    names = tuple(name for name in _MATRICES[module] if getattr(model, name) is not None)
    if not names:
        raise checks.error("module", f"{module!r} of weights without an MLP", "a module they have", "use 'attention'")
    return names


def truncate_weights(model: Model, *, layer: int, module: Module, rank: int, metric: Any = None) -> Model:
    """The weights with one module of one layer replaced by its best rank-r approximation (exact SVD), head by head.

    Args:
        model: a single model.
        layer: counted from 0.
        module: "value", "key", "query", "attention" (all three), "mlp" or "all".
        rank: r, from 0 to the smallest side of the module's matrices.
        metric: as in `truncate`, (D, D), for the square matrices.

    Returns: a copy in float64.
    Raises: ValueError for anything out of range.
    Source: Y Algorithm 1 and Section 2 (arXiv:2406.03768v2).

    Example:
        >>> import numpy as np
        >>> from icl_theory import random_weights, truncate_weights
        >>> model = truncate_weights(random_weights(0, layers=2, token_dim=4), layer=1, module="value", rank=2)
        >>> [int(rank) for rank in np.linalg.matrix_rank(model.value)]
        [4, 2]
    """
    model = checked(model)
    layer = checks.integer("layer", layer, 0, model.layers - 1, "layers are counted from 0")
    changes, ranks = {}, model.ranks
    for name in _present(model, module):
        matrices = getattr(model, name).copy()
        heads = matrices[layer] if matrices.ndim == 4 else matrices[layer][None]
        cut = [truncate(head, rank, metric=metric).matrix for head in heads]
        matrices[layer] = cut if matrices.ndim == 4 else cut[0]
        notes, first = rank_notes(ranks, name, len(matrices) * len(heads)), layer * len(heads)
        for index, head in enumerate(heads, first):
            notes[index] = rank_after(head, notes[index], rank, model.precision)
        ranks, changes[name] = changed(ranks, name, notes), matrices
    return model.replace(**changes, ranks=ranks)


def condition_number(matrix: Any, *, precision: Precision | None = None) -> float:
    """κ₂ = σ_max / σ_min; +inf for a singular matrix (σ_min below the rounding of its numbers).

    Args:
        matrix: shape (m, n).
        precision: what its numbers were rounded to, "float32" say; by their dtype if None.

    Raises: ValueError for NaN, a wrong shape, or a matrix that is singular if its numbers were rounded to float32 and
        invertible if they were not, while it does not say which.
    Source: Y Section 3.4, Case 1.

    Example:
        >>> from icl_theory import condition_number
        >>> condition_number([[2.0, 0.0], [0.0, 0.5]])
        4.0
    """
    precision = coarsest(precision, precision_of(matrix))
    matrix = checks.array("matrix", matrix, (None, None))
    values, side = np.linalg.svd(matrix, compute_uv=False), min(matrix.shape)
    found = [rank_range(matrix, name) for name in possible_precisions(matrix, precision)]
    singular = [ranks.most < side for ranks in found]
    if any(singular) and any(ranks.least == side for ranks in found):
        got, hint = "numbers of float32 in float64", "say precision='float32' if they were rounded, else 'float64'"
        raise checks.error("precision of the matrix", got, "a precision that says whether σ_min is zero", hint)
    return float("inf") if any(singular) else float(values[0] / values[-1])


def module_condition_number(model: Model, layer: int, module: Module) -> float:
    """The largest κ₂ of the module's matrices in one layer.

    Args:
        model: a single model.
        layer: counted from 0.
        module: as in `truncate_weights`.

    Raises: ValueError for a layer out of range or a module that the weights lack.
    Source: Y Section 3.4 and Algorithm 1 (arXiv:2406.03768v2); the largest of several matrices: our reading.
    """
    layer = checks.integer("layer", layer, 0, model.layers - 1, "layers are counted from 0")
    largest = 0.0
    for name in _present(model, module):
        matrices = getattr(model, name)
        heads = matrices[layer] if np.ndim(matrices) == 4 else matrices[layer][None]
        known = rank_notes(model.ranks, name, model.layers * len(heads))[layer * len(heads) :]
        for head, rank in zip(heads, known, strict=False):
            deficient = rank is not None and rank < min(head.shape)
            own = np.inf if deficient else condition_number(head, precision=model.precision)
            largest = max(largest, own)
    return largest
