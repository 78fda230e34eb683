"""The law of the tokens of one fixed task, in coordinates in which it is as simple as it can be.

Tokens are h = B u with E u uᵀ = I and B (D, q) of full column rank: I(W; H_s) is invariant under invertible linear maps
of the tokens, so no noise level and no input covariance is ill-conditioned in the coordinates u. The ladder needs of
the law of u a sampler, and a *reference* for the prior: E svec(u uᵀ) and Cov svec(u uᵀ). Any reference that does not
see the demonstrations gives an upper bound. Where u has independent coordinates with known fourth moments it is exact;
otherwise it comes from an independent batch of tokens, and what cancels exactly for the true moments is computed.

Labels ±1 make y² a constant, one-hot labels y_c y_c' one too: such coordinates of svec(u uᵀ) have no noise, whatever
the demonstrations, and are left out. New, not in Y (arXiv:2406.03768v2).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.ranks import definite_rank, rank_range
from icl_theory.core.symmetric import outer_coordinates, symmetric_coordinates, symmetric_matrix, symmetric_pairs
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import known
from icl_theory.tasks.law_facts import fourth_moment
from icl_theory.tasks.laws import Gaussian
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.tasks.vector_regression import VectorRegression

_REFERENCE_TOKENS = 2**16  # a prior from n tokens costs about m²/(4n) nats for m coordinates: .002 at m = 21
_SEED = 0x1C1  # of the reference batch, whatever the key of the runs: a generator of its own
_CHUNK_ENTRIES = 2**22
_RESOLVED = 1e-8  # smallest singular value of the features, of the largest, that float64 leaves digits for


@dataclass(frozen=True)
class TokenLaw:
    """The law of u with h = B u, and what a prior may know about it."""

    basis: np.ndarray
    """B, shape (D, q)."""
    mean: np.ndarray
    """E svec(u uᵀ), shape (q(q+1)/2,): svec I up to rounding."""
    spread: np.ndarray
    """F with F Fᵀ = Cov of the free coordinates of svec(u uᵀ), lower triangular, shape (m, m)."""
    free: np.ndarray | None
    """E with orthonormal columns, (q(q+1)/2, m): svec(u uᵀ) varies in their span alone; None for all of it."""
    exact: bool
    """Whether mean and spread are those of the law, and not of an independent batch."""
    gaussian: bool
    """Whether u ~ N(0, I) with labels w · x + σ ε, for which losses have closed forms."""
    sample: Callable[[np.random.Generator, int, int], np.ndarray]
    """u of `count` runs of `shots` tokens, shape (count, shots, q)."""
    singular: str = ""
    """Why C_t may be singular on its support with positive probability whatever N, see `Task.singular_note`."""
    growth: float = 0.0
    """The error of B in units of rounding, where it comes from tokens."""
    notes: tuple[str, ...] = ()
    """What a reader of numbers should know about the law."""

    @property
    def coordinates(self) -> int:
        """m, the number of free coordinates of svec(u uᵀ)."""
        return len(self.spread)

    @property
    def centre(self) -> np.ndarray:
        """E of the free coordinates, shape (m,)."""
        return self.mean if self.free is None else self.mean @ self.free

    def features(self, inner: np.ndarray) -> np.ndarray:
        """Free coordinates of svec(u uᵀ) for u (..., q), shape (..., m)."""
        outer = outer_coordinates(inner)
        return outer if self.free is None else outer @ self.free

    def directions(self, coordinates: np.ndarray) -> np.ndarray:
        """The symmetric matrices that free coordinates (..., m) stand for, without the constant part; (..., q, q)."""
        return symmetric_matrix(coordinates if self.free is None else coordinates @ self.free.T, self.basis.shape[1])

    def matrices(self, coordinates: np.ndarray) -> np.ndarray:
        """The second moments with free coordinates (..., m), the constant part included; shape (..., q, q)."""
        if self.free is None:
            return symmetric_matrix(coordinates, self.basis.shape[1])
        constant = self.mean - self.free @ (self.mean @ self.free)
        return symmetric_matrix(coordinates @ self.free.T + constant, self.basis.shape[1])


def token_law(task: Task, parameters: np.ndarray) -> TokenLaw:
    """The law of the tokens of the function with these parameters, for the ladder.

    Args:
        task: any whose prompts are independent tokens of their function.
        parameters: of one function, as a row of `task.sample_tasks`.

    Raises: ValueError for a task that overrides `sample_prompts`, and where E u⁴ is infinite or not known: C_t has no
        expectation then.
    """
    parameters = np.asarray(parameters, dtype=np.float64)
    task.require_tokens("the bound ladder")
    note = known(task.tail_note, 4)
    if note:
        hint = "use a law with a finite fourth_moment"
        raise checks.error("task for the bound ladder", note, "inputs and label noise with E u⁴ < ∞", hint)
    if note is None:
        note = "the moments of these inputs are not known: E u⁴ is taken to be finite"
    notes = tuple(filter(None, (note, known(task.tail_note, 8))))
    singular = known(task.singular_note)
    if singular is None:
        singular = ""
        notes = (*notes, "if C_t of these tokens can be singular on its support, bounds without a floor are infinite")
    linear = known(lambda: task.row) if isinstance(task, VectorRegression) else known(task.require_linear, "")
    # Of a singular Λ the coordinates of x are mixtures of the u_i: independent for Gaussian ones only.
    whole = type(task.inputs) is Gaussian or definite_rank("task.covariance", task.covariance) == task.dim
    if linear is not None and whole:
        return _independent(linear, parameters, singular, notes)
    return _learned(task, parameters.tobytes(), parameters.shape, singular, notes)


def token_root(task: LinearRegression, weights: np.ndarray) -> np.ndarray:
    """B (D, q) with [x; y] = B u: x = Λ^{1/2} u_x, y = w · x + σ u_y, or W x + σ u_y; no columns of zeros.

    Args:
        task: says Λ and σ.
        weights: w, shape (d_x,), or W, shape (d_y, d_x).
    """
    weights = np.atleast_2d(weights)
    root, size = task.input_root, definite_rank("task.covariance", task.covariance)
    if size < task.dim:
        values, vectors = np.linalg.eigh(task.covariance)
        root = vectors[:, -size:] * np.sqrt(values[-size:]) if size else np.zeros((task.dim, 0))
    inputs = np.concatenate([root, weights @ root])
    if task.noise_std == 0:
        return inputs
    noise = np.concatenate([np.zeros((task.dim, len(weights))), task.noise_std * np.eye(len(weights))])
    return np.concatenate([inputs, noise], axis=1)


def gaussian_moment_covariance(covariance: np.ndarray) -> np.ndarray:
    """Cov svec(h hᵀ) = 2 (Σ ⊗_s Σ) for h ~ N(0, Σ): Σ_ik Σ_jl + Σ_il Σ_jk with svec weights, shape (m, m)."""
    i, j, weight = symmetric_pairs(len(covariance))
    rows, columns = (i[:, None], j[:, None]), (i[None], j[None])
    product = covariance[rows[0], columns[0]] * covariance[rows[1], columns[1]]
    product = product + covariance[rows[0], columns[1]] * covariance[rows[1], columns[0]]
    return product * weight * weight[:, None]


def _independent(task: LinearRegression, weights: np.ndarray, singular: str, notes: tuple[str, ...]) -> TokenLaw:
    """Independent u_i of mean 0 and variance 1: Cov svec(u uᵀ) is diagonal, E u_i⁴ - 1 for i = j and 2 for i < j.

    Third moments do not enter, so the laws may be skewed. E u_i⁴ = 1, u_i = ±1, makes u_i² a constant.
    """
    basis = token_root(task, weights)
    noises = (len(basis) - task.dim) * (task.noise_std > 0)
    laws = [task.inputs] * (basis.shape[1] - noises) + [task.noise] * noises
    fourth = np.array([fourth_moment(law) for law in laws], dtype=np.float64)
    i, j, _ = symmetric_pairs(len(laws))
    variance = np.where(i == j, fourth[i] - 1, 2.0)
    varies, units = variance > 0, np.eye(len(variance))

    def sample(rng: np.random.Generator, count: int, shots: int) -> np.ndarray:
        u = task.inputs.sample(rng, (count, shots, basis.shape[1] - noises))  # first those of all inputs
        return np.concatenate([u, task.noise.sample(rng, (count, shots, noises))], axis=-1) if noises else u

    free = None if varies.all() else units[:, varies]
    spread, mean = np.diag(np.sqrt(variance[varies])), symmetric_coordinates(np.eye(len(laws)))
    closed = all(type(law) is Gaussian for law in laws) and len(basis) == task.dim + 1
    return TokenLaw(basis, mean, spread, free, True, closed, sample, singular, notes=notes)


@lru_cache(maxsize=8)
def _learned(task: Task, parameters: bytes, shape: tuple[int, ...], singular: str, notes: tuple[str, ...]) -> TokenLaw:
    """Basis, mean and spread from an independent batch of tokens; one batch for all models of the same task."""
    function = np.frombuffer(parameters).reshape(1, *shape)
    tokens = task.sample_tokens(np.random.default_rng([_SEED, _REFERENCE_TOKENS]), function, _REFERENCE_TOKENS)[0]
    triangle = np.asarray(np.linalg.qr(tokens / np.sqrt(len(tokens)), mode="r"))
    rounding = float(np.sqrt(len(tokens)))  # of a factor of so many rows
    options: Any = {"growth": rounding, "size": float(np.linalg.norm(triangle, 2))}
    width = definite_rank("the tokens of the task", triangle, "float64", **options)
    _, sizes, rows = np.linalg.svd(triangle)
    turn = rows[:width].T / sizes[:width]
    mean, scatter = _moments_of(tokens @ turn)
    largest = float(np.linalg.norm(scatter, 2))
    found = rank_range(scatter, "float64", growth=width * rounding, size=largest)
    _, values, turned = np.linalg.svd(scatter)
    rank = found.most
    if rank and values[rank - 1] < _RESOLVED * largest:
        got = f"second moments of the tokens with a condition number of {largest / values[rank - 1]:.1e}"
        hint = "label noise that is tiny but not zero is beyond a sampled prior: use more of it, or none"
        raise checks.error("task for the bound ladder", got, f"at most {1 / _RESOLVED:.0e}", hint)
    free = None if rank == len(mean) else turned[:rank].T
    inside = scatter if free is None else np.linalg.qr(scatter @ free, mode="r")
    spread = np.asarray(inside).T  # lower triangular, and no product that would square its condition

    def sample(rng: np.random.Generator, count: int, shots: int) -> np.ndarray:
        return task.sample_tokens(rng, np.repeat(function, count, axis=0), shots) @ turn

    text = f"the prior's moments come from {_REFERENCE_TOKENS} tokens of an independent batch"
    return TokenLaw(
        rows[:width].T * sizes[:width], mean, spread, free, False, False, sample, singular, rounding, (*notes, text)
    )


def _moments_of(inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of svec(u uᵀ) and a triangle R with RᵀR its covariance, by QR in pieces of bounded memory."""
    width = inner.shape[1] * (inner.shape[1] + 1) // 2
    pieces = np.array_split(inner, max(1, len(inner) * width // _CHUNK_ENTRIES))
    mean = np.sum([outer_coordinates(piece).sum(axis=0) for piece in pieces], axis=0) / len(inner)
    triangle = np.zeros((0, width))
    for piece in pieces:
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, outer_coordinates(piece) - mean]), mode="r"))
    return mean, triangle / np.sqrt(len(inner) - 1)
