"""Exact population risk of the one-layer optimum against its rank."""

from dataclasses import dataclass

import numpy as np

from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.results import Result
from icl_theory.models.constructions import one_layer_optimum, preconditioner_risk
from icl_theory.tasks.base import Task
from icl_theory.truncation.svd import Truncations


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
    """P* cut in the metric Λ on both sides (see `truncate`), shape (d_x + 1,)."""
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

    def curve(cuts: Truncations) -> np.ndarray:
        return np.array([preconditioner_risk(cut.matrix, task, shots) for cut in cuts])

    best = np.array([one_layer_optimum(task, shots=shots, rank=rank)[1] for rank in range(task.dim + 1)])
    whitened = Truncations(optimum, inputs=task.covariance, outputs=task.covariance)
    return TruncationCurves(best, curve(whitened), curve(Truncations(optimum)))
