"""Population risk of a linear-attention model: a closed form for one layer, Monte Carlo over S for more."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icl_theory import _checks
from icl_theory._numerics import float64, generator, transpose
from icl_theory.constructions import preconditioner_risk
from icl_theory.estimate import Estimate
from icl_theory.task_base import KURTOSIS, Task
from icl_theory.tasks import LinearRegression
from icl_theory.trajectory import implied_weights, trajectory_from_moment
from icl_theory.weights import AttentionWeights, checked

READOUTS = ("minus", "plus")
UNIT = "squared error"
BLOCK_ENTRIES = 2**21
"""Most entries that the stack of second moments of one Monte Carlo block may have (16 MiB in float64)."""


def population_risk(
    weights: AttentionWeights,
    task: Task,
    *,
    shots: int,
    samples: int | None = None,
    key: Any = None,
    readout: str = "minus",
) -> Estimate:
    """E (ŷ - y)² = E (p - w)ᵀ Λ (p - w) with ŷ = p · x_q, over tasks w, demonstrations and the query.

    One layer: a closed form in W_V, W_K, W_Q, nothing is sampled (see `one_layer_risk`). More layers: the query
    is integrated out and S is drawn directly, so the cost per sample is O(L D³) whatever N is. The same key and
    samples mean the same (S, w) for every model, so that models are compared on common random numbers.

    Args:
        weights: a single model, value, key, query each (L, D, D), mean normalisation; an MLP is taken as linear.
        task: linear regression with any Λ, Ω and σ, dense or sparse w; uniform inputs for one layer. For the other
            tasks one layer of the form ŷ = x_q · P S_xy (v_x = 0, B_y = 0). y is the query's label without noise.
        shots: N, the number of demonstrations.
        samples: independent (S, w) for L > 1, 4096 if None; ignored for one layer, which is exact anyway.
        key: a jax.random.key or a whole number for L > 1, 0 if None.
        readout: "minus", ŷ = -(label slot of the query), or "plus".

    Returns: `Estimate` in squared label units: "exact" for one layer, else "unbiased" with its standard error.
        Deep models have heavy tails (p is of degree (3^L - 1) / 2 in S): far from a good model the error bar is
        itself noisy. A model that overflows float64 gets +inf, with a note.
    Raises: ValueError for an ensemble, a task or model beyond the above, a wrong token dimension or a count below
        its minimum.
    Source: new; Wishart and Gaussian moments, see `one_layer_risk`.
    """
    weights = checked(weights, task.token_dimension)
    shots = _checks.integer("shots", shots, 1, None, "show at least one demonstration")
    samples = 4096 if samples is None else samples
    samples = _checks.integer("samples", samples, 2, None, "a standard error needs two samples")
    _checks.choice("readout", readout, READOUTS)
    if weights.layers == 1:
        return Estimate(_exact_risk(weights, task, shots, readout), unit=UNIT)
    linear: LinearRegression = task.require_gaussian_inputs("the population risk of several layers")
    losses = _sampled_losses(weights, linear, shots, samples, 0 if key is None else key, readout)
    return summary(losses)


def _exact_risk(weights: AttentionWeights, task: Task, shots: int, readout: str) -> float:
    """One layer: any weights for linear regression, else those whose readout is P S_xy and nothing more."""
    factors = _readout_factors(weights)
    if isinstance(task, LinearRegression) or any(v[:-1].any() or b[-1].any() for v, b in factors):
        return one_layer_risk(weights, task.require_linear("weights that read S_xx or S_yy"), shots, readout)
    sign = -1.0 if readout == "minus" else 1.0
    return preconditioner_risk(sign * sum(v[-1] * b[:-1].T for v, b in factors), task, shots)


def _readout_factors(weights: AttentionWeights) -> list[tuple[np.ndarray, np.ndarray]]:
    """v = W_V[y, :] (D,) and B = (W_Kᵀ W_Q)[:, x] (D, d_x) of every head: p = ± Σ_heads Bᵀ S v."""
    explicit = weights.without_mlp().with_heads()
    products = transpose(explicit.key[0]) @ explicit.query[0]
    return [(value[-1], product[:, :-1]) for value, product in zip(explicit.value[0], products, strict=True)]


def one_layer_risk(weights: AttentionWeights, task: LinearRegression, shots: int, readout: str) -> float:
    """E pᵀΛp - 2 E pᵀΛw + tr ΛΩ for p = ± Σ_heads Bᵀ S v, with v = W_V[y, :] and B = (W_Kᵀ W_Q)[:, x].

    For Gaussian inputs, given w, N S ~ Wishart(Σ_w, N), so that a pair of heads with A = B Λ B'ᵀ has

        E[vᵀS A S v' | w] = ((Σ_w v)ᵀ A (Σ_w v') + (1/N) ((Σ_w v)ᵀ Aᵀ (Σ_w v') + tr(A Σ_w) vᵀ Σ_w v')),

    and E[p | w] = ± Σ Bᵀ Σ_w v. Σ_w v, tr(A Σ_w) and vᵀ Σ_w v' are polynomials c0 + c1·w + c2 q in w, with q = wᵀΛw;
    odd moments of w vanish, E q = tr ΛΩ, and E q² is `task.task_quartic(Λ, Λ)`. Other inputs add `_cumulant_term` / N.
    Arguments as in `population_risk`, checked.
    """
    lam, omega = task.covariance, task.task_covariance
    heads = _readout_factors(weights)
    square = sum(_pair_square(first, second, task, shots) for first in heads for second in heads)
    cross = sum(np.trace(_moved(v, task)[1].T @ b @ lam @ omega) for v, b in heads)
    sign = -1.0 if readout == "minus" else 1.0
    return float(square - 2 * sign * cross + np.trace(lam @ omega))


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
    return form(a) + (form(a.T) + fluctuation + _cumulant_term(v, other, a, task)) / shots


def _cumulant_term(v: np.ndarray, other: np.ndarray, a: np.ndarray, task: LinearRegression) -> float:
    """(κ - 3) Σ_i E_w (v·f_i)(v'·f_i) f_iᵀAf_i: what E (v·h)(v'·h) hᵀAh has beyond Gaussian tokens; 0 if κ = 3.

    h = Σ_i u_i f_i + σ ε e_y with f_i = [r_i; z_i], r_i the columns of Λ^{1/2} and z_i = w·r_i; the u_i are
    independent with fourth cumulant κ - 3, and cumulants of independent terms add.
    """
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
    return (KURTOSIS[task.inputs] - 3) * total


def quadratic_loss(p: Any, w: Any, covariance: Any) -> Any:
    """(p - w)ᵀ Λ (p - w), the squared error with x_q integrated out; p, w (..., d_x), numpy or jax."""
    difference = p - w
    return ((difference @ covariance) * difference).sum(-1)


def implied_from_moments(weights: AttentionWeights, moments: Any, readout: str) -> Any:
    """p after every layer, shape (batch, L, d_x), for second moments (batch, D, D); jax arrays, for use in jit."""
    accumulated = jax.vmap(lambda s: trajectory_from_moment(weights, s).accumulated[1:])(moments)
    return implied_weights(accumulated, readout)


def _product(a: Any, b: Any) -> Any:
    """Matrix products of two stacks (D, D, batch)."""
    return (a[:, :, None] * b[None]).sum(1)


def final_implied_weights(weights: AttentionWeights, moments: Any, readout: str) -> Any:
    """p after the last layer, shape (d_x, batch), from stacks S (D, D, batch); the twin of `trajectory_from_moment`.

    Prompts stand on the last axis, so that the small products run along it, which XLA turns into vector
    instructions; the first layer has M = I, and of the last only the label's row is needed. Several times faster
    than the generic trajectory under vmap, which the tests hold it against.
    """
    weights = weights.without_mlp().with_heads()
    products = transpose(weights.key) @ weights.query
    identity = jnp.eye(moments.shape[0], dtype=moments.dtype)[:, :, None]
    m = jnp.broadcast_to(identity, moments.shape)
    for t in range(weights.layers - 1):
        own = moments if t == 0 else _product(_product(m, moments), m.swapaxes(0, 1))
        delta = sum(
            jnp.einsum("ijb,jk->ikb", jnp.einsum("ij,jkb->ikb", value, own), product)
            for value, product in zip(weights.value[t], products[t], strict=True)
        )
        m += delta if t == 0 else _product(delta, m)
    total = jnp.zeros(moments.shape[1:], moments.dtype)
    for value, product in zip(weights.value[-1], products[-1], strict=True):
        row = jnp.einsum("i,ijb->jb", value[-1], m)  # Mᵀv, then S, M, W_QᵀW_K and Mᵀ from the left
        row = (m * (moments * row).sum(1)).sum(1)
        total += product.T @ row
    row = (m[-1] + (m * total[:, None]).sum(0))[:-1]
    return -row if readout == "minus" else row


@jax.jit(static_argnames="readout")
def _losses(weights: AttentionWeights, moments: Any, w: Any, covariance: Any, readout: str) -> Any:
    return quadratic_loss(final_implied_weights(weights, jnp.moveaxis(moments, 0, -1), readout).T, w, covariance)


@float64
def _sampled_losses(
    weights: AttentionWeights, task: LinearRegression, shots: int, samples: int, key: Any, readout: str
) -> Any:
    """Independent draws of (p - w)ᵀ Λ (p - w), shape (samples,), in blocks of equal size (one compilation)."""
    rng = generator(key)
    blocks = math.ceil(samples * task.token_dimension**2 / BLOCK_ENTRIES)
    size = math.ceil(samples / blocks)
    losses = [
        np.asarray(_losses(weights, *task.sample_moments(rng, size, shots), jnp.asarray(task.covariance), readout))
        for _ in range(blocks)
    ]
    return np.concatenate(losses)[:samples]


def summary(losses: np.ndarray) -> Estimate:
    """Mean and standard error of independent losses; +inf with a note if some of them overflowed."""
    count = len(losses)
    bad = int((~np.isfinite(losses)).sum())
    if bad:
        return Estimate(math.inf, 0.0, count, "unbiased", UNIT, f"{bad} of {count} samples overflow")
    return Estimate(float(losses.mean()), float(losses.std(ddof=1) / math.sqrt(count)), count, "unbiased", UNIT)
