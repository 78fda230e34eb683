"""Population risk of one linear-attention layer in closed form: moments up to the fourth, nothing sampled."""

import math
from typing import NamedTuple

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import EPS, transpose
from icl_theory.models.constructions import preconditioner_risk
from icl_theory.models.model import Model
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import known
from icl_theory.tasks.law_facts import fourth_moment, known_fourth_moment
from icl_theory.tasks.laws import Law
from icl_theory.tasks.linear_regression import LinearRegression

ROUNDING = 64 * EPS
"""Share of the largest entry of a label block by which it may differ from c Π: rounding of c Π itself."""


def exact_risk(model: Model, task: Task, shots: int) -> float | None:
    """One layer: any weights for linear regression, else those that read Π S_yx Pᵀ x_q alone; None beyond that.

    +inf where a fourth moment that the layer reads is infinite; None too where a law does not say what is needed.
    """
    risk = known(one_layer_risk, model, task, shots)
    if risk is not None:
        return risk
    preconditioner = _pure_preconditioner(model, task)
    sign = -1.0 if model.readout == "minus" else 1.0
    return None if preconditioner is None else known(preconditioner_risk, sign * preconditioner, task, shots)


def require_exact_risk(task: Task, what: str) -> LinearRegression:
    """The task as `LinearRegression`, if every one-layer model has an exact and finite risk. Raises: ValueError."""
    linear: LinearRegression = task.require_linear(what)
    linear.task_quartic(np.eye(task.dim), np.eye(task.dim))  # raises where the law of w is another
    known_fourth_moment(linear.inputs, "inputs", what)
    if linear.noise_std > 0:
        known_fourth_moment(linear.noise, "noise", what)
    return linear


def _pure_preconditioner(model: Model, task: Task) -> np.ndarray | None:
    """Σ_heads c Bᵀ where every head reads labels as c Π and compares inputs alone; None where one does not."""
    explicit, dim, projection = model.without_mlp().with_heads(), task.dim, task.label_projection
    total = np.zeros((dim, dim))
    for value, product in zip(explicit.value[0], transpose(explicit.key[0]) @ explicit.query[0], strict=True):
        labels = value[dim:, dim:]
        size = np.trace(labels) / np.trace(projection)
        if (
            value[dim:, :dim].any()
            or product[dim:, :dim].any()
            or np.abs(labels - size * projection).max() > ROUNDING * np.abs(labels).max()
        ):
            return None
        total += size * product[:dim, :dim].T
    return total


def readout_factors(model: Model) -> list[tuple[np.ndarray, np.ndarray]]:
    """v = W_V[y, :] (D,) and B = (W_Kᵀ W_Q)[:, x] (D, d_x) of every head: p = ± Σ_heads Bᵀ S v."""
    explicit = model.without_mlp().with_heads()
    products = transpose(explicit.key[0]) @ explicit.query[0]
    return [(value[-1], product[:, :-1]) for value, product in zip(explicit.value[0], products, strict=True)]


def one_layer_risk(model: Model, task: Task, shots: int) -> float:
    """E pᵀΛp - 2 E pᵀΛw + tr ΛΩ for p = ± Σ_heads Bᵀ S v, with v = W_V[y, :] and B = (W_Kᵀ W_Q)[:, x].

    For Gaussian tokens, given w, N S ~ Wishart(Σ_w, N), so that a pair of heads with A = B Λ B'ᵀ has

        E[vᵀS A S v' | w] = ((Σ_w v)ᵀ A (Σ_w v') + (1/N) ((Σ_w v)ᵀ Aᵀ (Σ_w v') + tr(A Σ_w) vᵀ Σ_w v')),

    and E[p | w] = ± Σ Bᵀ Σ_w v. Σ_w v, tr(A Σ_w) and vᵀ Σ_w v' are polynomials c0 + c1·w + c2 q in w, with q = wᵀΛw;
    odd moments of w vanish, E q = tr ΛΩ, and E q² is `task.task_quartic(Λ, Λ)`. Other laws of u and ε add their fourth
    cumulants, see `_Excess`; third ones never enter, since in E abcd of independent terms each multiplies a mean.

    Args:
        model: a single linear-attention layer, checked; its number of heads is arbitrary.
        task: one that is `LinearRegression` in all but the laws of w, u and ε.
        shots: N.

    Returns: the risk; +inf where a fourth moment that counts is infinite.
    Raises: ValueError for another task, or a fourth moment that counts and is not known.
    """
    linear: LinearRegression = task.require_linear("the exact risk of one layer")
    lam, omega = linear.covariance, linear.task_covariance
    heads = readout_factors(model)
    square = sum(_pair_square(first, second, linear, shots) for first in heads for second in heads)
    cross = sum(np.trace(_moved(v, linear)[1].T @ b @ lam @ omega) for v, b in heads)
    sign = -1.0 if model.readout == "minus" else 1.0
    excess = _excess(heads, linear) / shots
    return float(square - 2 * sign * cross + np.trace(lam @ omega)) + excess


def _moved(v: np.ndarray, task: LinearRegression) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Σ_w v = u0 + u1 w + u2 q; its label slot is v_xᵀΛw + v_y (q + σ²)."""
    lam = task.covariance
    u0 = np.append(lam @ v[:-1], v[-1] * task.noise_std**2)
    return u0, np.vstack([v[-1] * lam, lam @ v[:-1]]), np.append(np.zeros(task.dim), v[-1])


def _pair_square(first: tuple, second: tuple, task: LinearRegression, shots: int) -> float:
    """E[vᵀS A S v'] with A = B Λ B'ᵀ of two heads (v, B) and (v', B')."""
    (v, b), (other, c) = first, second
    lam, omega = task.covariance, task.task_covariance
    a = b @ lam @ c.T
    q1, q2 = np.trace(lam @ omega), task.task_quartic(lam, lam)
    u, m = _moved(v, task), _moved(other, task)

    def form(matrix: np.ndarray) -> float:
        """E[(Σ_w v)ᵀ matrix (Σ_w v')]."""
        middle = np.trace(u[1].T @ matrix @ m[1] @ omega)
        return (
            u[0] @ matrix @ m[0]
            + middle
            + q1 * (u[0] @ matrix @ m[2] + u[2] @ matrix @ m[0])
            + q2 * (u[2] @ matrix @ m[2])
        )

    # tr(A Σ_w) = t0 + t1·w + t2 q and vᵀ Σ_w v' = s0 + s1·w + s2 q.
    noise = task.noise_std**2
    t0, t1, t2 = np.trace(a[:-1, :-1] @ lam) + a[-1, -1] * noise, lam @ (a[:-1, -1] + a[-1, :-1]), a[-1, -1]
    s0, s2 = v[:-1] @ lam @ other[:-1] + v[-1] * other[-1] * noise, v[-1] * other[-1]
    s1 = lam @ (v[-1] * other[:-1] + other[-1] * v[:-1])
    fluctuation = t0 * s0 + (t0 * s2 + t2 * s0) * q1 + t2 * s2 * q2 + t1 @ omega @ s1
    return form(a) + (form(a.T) + fluctuation) / shots


class _Excess(NamedTuple):
    """The factor of a fourth cumulant κ₄ of u, or of ε, in N E pᵀΛp."""

    factor: float
    """Σ over pairs of heads; at least 0, as E |Σ_heads Bᵀ f (v·f)|²_Λ."""
    size: float
    """Σ of the pairs' absolute values: what rounding of the factor is relative to."""

    def times(self, law: Law, name: str) -> float:
        """κ₄ times the factor; 0 if it vanishes, +inf if E u⁴ is infinite. Raises: ValueError if it is unknown."""
        if self.size == 0:
            return 0.0
        fourth = fourth_moment(law)
        if fourth is None or not math.isinf(fourth):
            return (known_fourth_moment(law, name, "the exact risk of one layer") - 3) * self.factor
        if self.factor > 1e-12 * self.size:
            return math.inf
        got, hint = f"{law!r}, whose E u⁴ is infinite, and heads that cancel to rounding", "sample whole prompts"
        raise checks.error(f"{name} for the exact risk of one layer", got, "a finite E u⁴", hint)


def _excess(heads: list[tuple[np.ndarray, np.ndarray]], task: LinearRegression) -> float:
    """N (E pᵀΛp minus the same for Gaussian tokens): κ₄(u) Σ E_w (v·f_i)(v'·f_i) f_iᵀAf_i + κ₄(ε) σ⁴ Σ v_y v'_y A_yy.

    h = Σ_i u_i f_i + σ ε e_y with f_i = [r_i; z_i], r_i the columns of Λ^{1/2} and z_i = w·r_i, is a sum of independent
    terms of mean 0, whose fourth cumulants add. Sums run over pairs of heads with A = B Λ B'ᵀ.
    """
    total = 0.0
    for name, law, part in (("inputs", task.inputs, _input_part), ("noise", task.noise, _noise_part)):
        if fourth_moment(law) != 3:
            pairs = [part(v, other, b @ task.covariance @ c.T, task) for v, b in heads for other, c in heads]
            total += _Excess(sum(pairs), sum(abs(pair) for pair in pairs)).times(law, name)
    return total


def _noise_part(v: np.ndarray, other: np.ndarray, a: np.ndarray, task: LinearRegression) -> float:
    """σ⁴ v_y v'_y A_yy."""
    return float(task.noise_std**4 * v[-1] * other[-1] * a[-1, -1])


def _input_part(v: np.ndarray, other: np.ndarray, a: np.ndarray, task: LinearRegression) -> float:
    """Σ_i E_w (v·f_i)(v'·f_i) f_iᵀAf_i."""
    total = 0.0
    for r in task.input_root.T:
        second = r @ task.task_covariance @ r  # E z²
        fourth = task.task_quartic(np.outer(r, r), np.outer(r, r))  # E z⁴
        # v·f = α + v_y z, v'·f = α' + v'_y z and fᵀAf = β + γ z + A_yy z²; odd powers of z have mean 0.
        alpha, prime, beta = v[:-1] @ r, other[:-1] @ r, r @ a[:-1, :-1] @ r
        mixed, both = alpha * other[-1] + prime * v[-1], v[-1] * other[-1]
        gamma = (a[:-1, -1] + a[-1, :-1]) @ r
        total += alpha * prime * beta + both * a[-1, -1] * fourth
        total += second * (alpha * prime * a[-1, -1] + mixed * gamma + both * beta)
    return float(total)
