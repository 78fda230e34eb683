"""Explicit gradient descent and GD++ on the second moment of the demonstrations, many prompts at once."""

from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import transpose


def gradient_steps(moments: np.ndarray, matrix: np.ndarray, eta: Any, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """w_1, ..., w_steps and their derivatives in η, both (..., prompts, steps, d_x); η is a number or a grid (...)."""
    eta = np.asarray(eta)[..., None, None]
    hessian, target = matrix @ moments[:, :-1, :-1], (matrix @ moments[:, :-1, -1:])[..., 0]
    w = slope = np.zeros((*eta.shape[:-2], *target.shape))
    path, slopes = [], []
    for _ in range(steps):
        gradient = np.einsum("nij,...nj->...ni", hessian, w) - target
        slope = slope - gradient - eta * np.einsum("nij,...nj->...ni", hessian, slope)
        w = w - eta * gradient
        path.append(w)
        slopes.append(slope)
    return np.stack(path, axis=-2), np.stack(slopes, axis=-2)


def plus_plus_steps(moments: np.ndarray, eta: float, gamma: float, steps: int) -> np.ndarray:
    """Implied weights p_1, ..., p_steps of GD++ (ŷ = p · x_q with the query moved as well), (prompts, steps, d_x).

    Every step lowers the residuals, r_i ← r_i - η c·x_i with c = (1/N) Σ r_i x_i, and moves all inputs, the query's
    too, x ← (I - γ S_xx) x. With γ = 0 it is gradient descent. In moments: c ← A (c - η S c), S ← A S A,
    p ← p + η Tᵀ c, T ← A T, A = I - γ S. Source: von Oswald et al. 2023, Section 3 and App. A.10 (arXiv:2212.07677v2).
    """
    second, cross = moments[:, :-1, :-1], moments[:, :-1, -1:]
    identity = np.eye(second.shape[-1])
    moved, p, path = np.broadcast_to(identity, second.shape), np.zeros_like(cross), []
    for _ in range(steps):
        p = p + eta * transpose(moved) @ cross
        step = identity - gamma * second
        cross = step @ (cross - eta * second @ cross)
        second, moved = step @ second @ step, step @ moved
        path.append(p[..., 0])
    return np.stack(path, axis=-2)


def plus_plus_end(values: np.ndarray, cross: np.ndarray, eta: float, gamma: float, steps: int) -> np.ndarray:
    """Uᵀ p_steps of GD++ with its derivatives in η and γ, (3, prompts, d_x), from S_xx = U diag(values) Uᵀ.

    Everything commutes with S_xx, so that the steps of `plus_plus_steps` are ones of numbers. Args: values, and
    Uᵀ S_xy = `cross`, each (prompts, d_x).
    """

    def constant(number: Any) -> np.ndarray:
        return np.stack([np.broadcast_to(number, values.shape), np.zeros_like(values), np.zeros_like(values)])

    def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.stack([a[0] * b[0], a[0] * b[1] + a[1] * b[0], a[0] * b[2] + a[2] * b[0]])

    step, inputs, one = constant(eta), constant(gamma), constant(1.0)
    step[1], inputs[2] = 1.0, 1.0
    second, c, moved, p = constant(values), constant(cross), one, constant(0.0)
    for _ in range(steps):
        p = p + product(step, product(moved, c))
        a = one - product(inputs, second)
        c = product(a, product(c, one - product(step, second)))
        second, moved = product(a, product(a, second)), product(a, moved)
    return p


def gradient_descent(x: Any, y: Any, *, steps: int, step_size: float, preconditioner: Any = None) -> Any:
    """w_{k+1} = w_k - η P (1/N) Σ (w_k·x_i - y_i) x_i from w_0 = 0, on the loss (1/2N) Σ (w·x_i - y_i)².

    Args:
        x: inputs, shape (N, d_x).
        y: labels, shape (N,).
        steps: number of steps, at least 0.
        step_size: η.
        preconditioner: P, shape (d_x, d_x); the identity if None.

    Returns: w_0, ..., w_steps, shape (steps + 1, d_x), float64.
    Raises: ValueError for wrong shapes, NaN or a negative number of steps.

    Example:
        >>> from icl_theory import gradient_descent
        >>> gradient_descent([[1.0], [2.0]], [3.0, 6.0], steps=2, step_size=0.2)
        array([[0.  ],
               [1.5 ],
               [2.25]])
    """
    x = checks.array("x", x, (None, None), "pass one input per row")
    y = checks.array("y", y, (x.shape[0],), "pass one label per input")
    steps = checks.integer("steps", steps, 0, None, "take no step or more")
    step_size = checks.number("step_size", step_size, low=-np.inf, hint="pass a finite step size")
    matrix = np.eye(x.shape[1]) if preconditioner is None else preconditioner
    matrix = checks.array("preconditioner", matrix, (x.shape[1], x.shape[1]))
    path = np.zeros((steps + 1, x.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):  # steps too large for the data diverge, and are seen to
        for k in range(steps):
            path[k + 1] = path[k] - step_size * (matrix @ (x.T @ (x @ path[k] - y))) / len(x)
    return path


def gd_plus_plus(x: Any, y: Any, *, steps: int, step_size: float, input_step: float) -> np.ndarray:
    """GD++: every step is one of gradient descent on the residuals, and moves the inputs, the query's among them.

    With c = (1/N) Σ r_i x_i: r_i ← r_i - η c·x_i and x ← (I - γ (1/N) Σ x_i x_iᵀ) x for every input. What the query is
    told is ŷ = p · x_q with x_q as it was at first. With γ = 0 it is gradient descent.

    Args:
        x: inputs, shape (N, d_x).
        y: labels, shape (N,).
        steps: number of steps, at least 1.
        step_size: η.
        input_step: γ.

    Returns: the implied weights p_0 = 0, p_1, ..., p_steps, shape (steps + 1, d_x).
    Raises: ValueError for wrong shapes, NaN or no step.
    Source: von Oswald et al. 2023, Section 3 and App. A.10 (arXiv:2212.07677v2).

    Example:
        >>> from icl_theory import gd_plus_plus
        >>> gd_plus_plus([[1.0], [1.0]], [3.0, 3.0], steps=2, step_size=0.5, input_step=0.5)
        array([[0.    ],
               [1.5   ],
               [1.6875]])
    """
    x = checks.array("x", x, (None, None), "pass one input per row")
    y = checks.array("y", y, (x.shape[0],), "pass one label per input")
    steps = checks.integer("steps", steps, 1, None, "take at least one step")
    eta, gamma = (
        checks.number(name, number, low=-np.inf, hint="pass a finite number")
        for name, number in (("step_size", step_size), ("input_step", input_step))
    )
    tokens = np.column_stack([x, y])
    path = plus_plus_steps((tokens.T @ tokens / len(x))[None], eta, gamma, steps)[0]
    return np.concatenate([np.zeros((1, x.shape[1])), path])
