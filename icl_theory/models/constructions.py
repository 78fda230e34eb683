"""Weights whose behaviour is known: gradient descent, the one-layer optimum, the best rank-m, random."""

from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import generator
from icl_theory.models.model import Model
from icl_theory.tasks.base import Task, square_root


def gradient_descent_weights(
    dim: int, *, layers: int = 1, step_size: float = 1.0, preconditioner: Any = None, label_projection: Any = None
) -> Model:
    """W_K = diag(I, 0), W_Q = diag(P, 0), W_V = diag(0, -ηΠ): layer t is step t of w ← w - η P ∇(1/2N) Σ |w·x - y|².

    With the minus readout and mean normalisation the prediction after L layers is that of L steps from w = 0.

    Args:
        dim: d_x.
        layers: L.
        step_size: η.
        preconditioner: P, shape (d_x, d_x); the identity if None.
        label_projection: Π, shape (d_y, d_y), through which labels are read; the number 1 if None.

    Raises: ValueError.
    Source: von Oswald et al. 2023, Prop. 1 (arXiv:2212.07677v2).

    Example:
        >>> from icl_theory import LinearRegression, gradient_descent, gradient_descent_weights, predict
        >>> prompt = LinearRegression(2).sample(0, batch=1, shots=5)
        >>> w = gradient_descent(prompt.x[0], prompt.y[0], steps=3, step_size=0.1)[-1]
        >>> model = gradient_descent_weights(2, layers=3, step_size=0.1)
        >>> bool(abs(predict(model, prompt)[0] - w @ prompt.x_query[0]) < 1e-12)
        True
    """
    dim = checks.integer("dim", dim, 1, None, "use at least one input dimension")
    layers = checks.integer("layers", layers, 1, None, "use at least one layer")
    step_size = checks.number("step_size", step_size, low=-np.inf, hint="pass a finite step size")
    matrix = np.eye(dim) if preconditioner is None else preconditioner
    matrix = checks.array("preconditioner", matrix, (dim, dim))
    labels = np.eye(1) if label_projection is None else label_projection
    labels = checks.array("label_projection", labels, (len(labels), len(labels)))
    value, key, query = (np.zeros((layers, dim + len(labels), dim + len(labels))) for _ in range(3))
    value[:, dim:, dim:] = -step_size * labels
    key[:, :dim, :dim] = np.eye(dim)
    # w_1 = η P S_xy, and the forward pass gives p = η (K_xᵀ Q_x)ᵀ S_xy: hence the transpose.
    query[:, :dim, :dim] = matrix.T
    return Model(value, key, query)


def random_weights(key: Any, *, layers: int, token_dim: int, scale: float = 0.5) -> Model:
    """Independent normal entries of standard deviation scale/√D, value, key and query each (layers, D, D).

    Args:
        key: a jax.random.key or a whole number.
        layers: L.
        token_dim: D.
        scale: √D times the standard deviation of an entry.

    Returns: a single model. Raises: ValueError for what is out of range.

    Example:
        >>> from icl_theory import random_weights
        >>> random_weights(0, layers=2, token_dim=4)
        Model(layers=2, token_dim=4)
    """
    layers = checks.integer("layers", layers, 1, None, "use at least one layer")
    token_dim = checks.integer("token_dim", token_dim, 1, None, "a token has at least one entry")
    scale = checks.number("scale", scale, low=0.0, hint="pass a standard deviation")
    rng = generator(key)
    shape = (3, layers, token_dim, token_dim)
    value, key_, query = rng.standard_normal(shape) * (scale / np.sqrt(token_dim))
    return Model.create(value, key_, query)


def preconditioner_risk(preconditioner: Any, task: Task, shots: int) -> float:
    """E (x_q · P S_xy - y_q)² = E y_q² - 2 tr(P Cᵀ) + tr(Λ P M Pᵀ), C = E[y_q x_q S_xyᵀ], M = E[S_xy S_xyᵀ].

    Labels that are vectors are read through the projection Π of the task, ŷ = Π S_yx Pᵀ x_q, and C and M are sums over
    the outputs, see `Task.readout_moments`.

    Args:
        preconditioner: P, shape (d_x, d_x).
        task: with known `readout_moments`.
        shots: N.
    Returns: the exact risk in squared label units.
    Raises: ValueError where the moments are not known.
    """
    p = checks.array("preconditioner", preconditioner, (task.dim, task.dim))
    cross, moment = task.readout_moments(checks.integer("shots", shots, 1, None, "show at least one demonstration"))
    return float(task.zero_risk - 2 * np.trace(p @ cross.T) + np.trace(task.covariance @ p @ moment @ p.T))


def one_layer_optimum(task: Task, *, shots: int, rank: int | None = None) -> tuple[Model, float]:
    """The best prediction ŷ = x_q · P S_xy over all P (of rank m if given), as weights and exact population risk.

    P* = Λ^{-1} C M^{-1} with C = E[y_q x_q S_xyᵀ] and M = E[S_xy S_xyᵀ] (`Task.readout_moments`). Linear regression
    has P* = Ω Λ M^{-1}, and for Gaussian inputs M = ((N+1)/N) Λ Ω Λ + (tr(ΩΛ) + σ²)/N Λ; other laws add a fourth
    cumulant (`Task.input_quartic`), the label noise its variance alone. For Ω = I and Gaussian inputs this is Γ^{-1},
    Γ = ((N+1)/N) Λ + ((tr Λ + σ²)/N) I, with risk tr Λ - tr(Λ² Γ^{-1}). The excess risk of P is
    ||Λ^{1/2} (P - P*) M^{1/2}||_F², so the best rank-m P comes from the SVD of Λ^{1/2} P* M^{1/2}.

    With scalar labels and m unrestricted no one-layer linear model at all does better: the part of its readout that is
    even in the labels is uncorrelated with y_q and with the odd part, some P S_xy. Both follow from -w having the law
    of w; skewed inputs or label noise change nothing, for ε stands alone, with E ε = 0, or as ε³ times E x = 0. Labels
    that are vectors are read as ŷ = Π S_yx Pᵀ x_q, see `preconditioner_risk`.

    Args:
        task: linear regression (dense or sparse w, several outputs, inputs with a finite E u⁴), a ReLU teacher (of
            symmetric such inputs), or classification with isotropic Gaussian inputs.
        shots: N.
        rank: m in 0..d_x, None for no constraint.

    Returns: (weights, risk): one layer in the minus readout and mean normalisation; risk E (ŷ - y)².
    Raises: ValueError for unknown or infinite moments, a singular Λ, or a rank out of range.
    Source: Ahn et al. 2023 Theorem 1 (arXiv:2306.00297v2), Zhang, Frei, Bartlett 2024; rank-m, other laws: new.

    Example:
        >>> from icl_theory import LinearRegression, one_layer_optimum
        >>> model, risk = one_layer_optimum(LinearRegression(5, noise_std=0.5), shots=20)
        >>> round(risk, 4), round(5 * 6.25 / 26.25, 4)
        (1.1905, 1.1905)
    """
    shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    covariance, dim = task.covariance, task.dim
    if np.linalg.matrix_rank(covariance) < dim:
        raise checks.error("task.covariance", "a singular matrix", "full rank", "drop the empty directions")
    cross, moment = task.readout_moments(shots)
    if not np.trace(moment) > 0:
        raise checks.error("task", "labels that are always zero", "some signal", "use a non-zero task covariance")
    best = np.linalg.solve(covariance, np.linalg.solve(moment, cross.T).T)
    left, right = square_root(covariance), square_root(moment)
    u, s, vt = np.linalg.svd(left @ best @ right)
    if rank is not None:
        rank = checks.integer("rank", rank, 0, dim, "choose a rank the preconditioner can have")
        best = np.linalg.solve(left, (u[:, :rank] * s[:rank]) @ vt[:rank]) @ np.linalg.inv(right)
        s = s[:rank]
    model = gradient_descent_weights(dim, preconditioner=best, label_projection=task.label_projection)
    return model, task.zero_risk - float(s @ s)
