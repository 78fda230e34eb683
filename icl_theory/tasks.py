"""Task distributions: they sample prompts, or the sufficient statistic of a prompt, and know their truths."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import numpy as np

from icl_theory import _checks
from icl_theory._numerics import generator, transpose


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Prompt:
    """Demonstrations and a query of a batch of tasks."""

    x: Any
    """Inputs of the demonstrations, shape (batch, shots, d_x)."""
    y: Any
    """Labels of the demonstrations, shape (batch, shots)."""
    x_query: Any
    """Query inputs, shape (batch, d_x)."""
    y_query: Any
    """Query labels without noise, shape (batch,)."""

    def tokens(self) -> np.ndarray:
        """The demonstrations as tokens h = [x; y], shape (batch, shots, d_x + 1)."""
        return np.concatenate([self.x, np.asarray(self.y)[..., None]], axis=-1)


def square_root(covariance: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(covariance)
    # Rounding can leave an exact zero eigenvalue at -1e-17; `_checks.covariance` has refused real negatives.
    return (vectors * np.sqrt(np.where(values > 0, values, 0.0))) @ vectors.T


@dataclass(frozen=True, eq=False)
class LinearRegression:
    """y = w · x + σ ε with x ~ (0, Λ), w ~ N(0, Ω), ε ~ N(0, 1); the query's label carries no noise.

    Args:
        dim: d_x, the input dimension.
        covariance: Λ, shape (d_x, d_x); the identity if None.
        task_covariance: Ω, shape (d_x, d_x); the identity if None.
        noise_std: σ ≥ 0, on the demonstrations only.
        inputs: "gaussian", or "uniform": x = Λ^{1/2} u with independent u_i uniform on [-√3, √3]
            (von Oswald et al. 2023 use Λ = I/3, that is uniform on [-1, 1]).

    Raises: ValueError for a bad dimension, a covariance that is not positive semidefinite, or σ < 0.
    """

    dim: int
    covariance: Any = None
    task_covariance: Any = None
    noise_std: float = 0.0
    inputs: str = "gaussian"

    def __post_init__(self) -> None:
        dim = _checks.integer("dim", self.dim, 1, None, "use at least one input dimension")
        object.__setattr__(self, "covariance", _checks.covariance("covariance", self.covariance, dim))
        object.__setattr__(self, "task_covariance", _checks.covariance("task_covariance", self.task_covariance, dim))
        _checks.number("noise_std", self.noise_std, low=0.0, cure="use 0 for noise-free labels")
        _checks.choice("inputs", self.inputs, ("gaussian", "uniform"))

    @property
    def token_dimension(self) -> int:
        """D = d_x + 1."""
        return self.dim + 1

    @property
    def zero_risk(self) -> float:
        """E (0 - w·x)² = tr(Λ Ω), the risk of predicting zero."""
        return float(np.trace(self.covariance @ self.task_covariance))

    @cached_property
    def input_root(self) -> np.ndarray:
        """Λ^{1/2}, shape (d_x, d_x)."""
        return square_root(self.covariance)

    @cached_property
    def task_root(self) -> np.ndarray:
        """Ω^{1/2}, shape (d_x, d_x)."""
        return square_root(self.task_covariance)

    def token_covariance(self, task_vector: Any) -> np.ndarray:
        """Σ_w = E h hᵀ = [[Λ, Λw], [wᵀΛ, wᵀΛw + σ²]] of a token [x; y] of task w, shape (D, D)."""
        w = _checks.array("task_vector", task_vector, (self.dim,))
        column = self.covariance @ w
        return np.block(
            [[self.covariance, column[:, None]], [column[None], np.array([[w @ column + self.noise_std**2]])]]
        )

    def sample_inputs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Inputs x, shape (*shape, d_x)."""
        size = (*shape, self.dim)
        if self.inputs == "gaussian":
            raw = rng.standard_normal(size)
        else:
            raw = rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), size)
        return raw @ self.input_root

    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Task vectors w ~ N(0, Ω), shape (batch, d_x)."""
        return rng.standard_normal((batch, self.dim)) @ self.task_root

    def sample_tokens(self, rng: np.random.Generator, w: np.ndarray, shots: int) -> np.ndarray:
        """Tokens [x; y] of the tasks w (batch, d_x), shape (batch, shots, D)."""
        x = self.sample_inputs(rng, (len(w), shots))
        y = np.einsum("bnd,bd->bn", x, w) + self.noise_std * rng.standard_normal(x.shape[:2])
        return np.concatenate([x, y[..., None]], axis=-1)

    def sample(self, key: Any, batch: int, shots: int) -> Prompt:
        """A batch of prompts, each with a task of its own.

        Args:
            key: a jax.random.key (or a whole number); the same key gives the same prompts.
            batch: number of prompts.
            shots: demonstrations per prompt.

        Returns: `Prompt` with float64 arrays; Raises: ValueError for a count below one.
        """
        batch = _checks.integer("batch", batch, 1, None, "sample at least one prompt")
        shots = _checks.integer("shots", shots, 1, None, "show at least one demonstration")
        rng = generator(key)
        w = self.sample_tasks(rng, batch)
        tokens = self.sample_tokens(rng, w, shots)
        x_query = self.sample_inputs(rng, (batch,))
        return Prompt(tokens[..., :-1], tokens[..., -1], x_query, np.einsum("bd,bd->b", x_query, w))

    def require_gaussian(self, what: str) -> None:
        """Refuse where a closed form or a Wishart draw needs Gaussian inputs."""
        if self.inputs != "gaussian":
            raise _checks.refuse(
                f"task.inputs for {what}", self.inputs, "gaussian", "use LinearRegression(inputs='gaussian')"
            )

    def sample_moments(self, rng: np.random.Generator, batch: int, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """Second moments S (batch, D, D) and task vectors w (batch, d_x), at a cost that does not grow with shots.

        N S_xx ~ Wishart(Λ, N) by Bartlett's decomposition; the labels' noise enters through its projection on
        the inputs and a χ² rest, both exact. Raises: ValueError unless the inputs are Gaussian.
        """
        self.require_gaussian("sampling S directly")
        batch = _checks.integer("batch", batch, 1, None, "sample at least one prompt")
        shots = _checks.integer("shots", shots, 1, None, "show at least one demonstration")
        width = min(self.dim, shots)
        factor = rng.standard_normal((batch, self.dim, width))
        if shots >= self.dim:
            factor = np.tril(factor, -1)
            index = np.arange(self.dim)
            factor[:, index, index] = np.sqrt(rng.chisquare(shots - index, (batch, self.dim)))
        w = self.sample_tasks(rng, batch)
        inside = rng.standard_normal((batch, width))
        rest = rng.chisquare(shots - width, batch) if shots > width else np.zeros(batch)
        return assemble_moments(self.input_root, self.noise_std, factor, w, inside, rest, shots, np), w


def assemble_moments(
    root: Any, noise_std: float, factor: Any, w: Any, inside: Any, rest: Any, shots: int, xp: Any
) -> Any:
    """S of [X; y] from X = Λ^{1/2} T Qᵀ (QᵀQ = I), with Qᵀε = `inside` and |ε|² - |Qᵀε|² = `rest`.

    Works for numpy and jax (`xp`). Shapes: root (d, d), factor T (batch, d, m), w (batch, d), inside (batch, m),
    rest (batch,). Returns S, shape (batch, d + 1, d + 1), in the mean convention.
    """
    half = root @ factor  # X Q, so X Xᵀ = half halfᵀ and X ε = half Qᵀε
    s_xx = half @ transpose(half)
    cross = noise_std * (half @ inside[..., None])
    column = s_xx @ w[..., None] + cross
    s_yy = transpose(w[..., None]) @ (column + cross) + (noise_std**2 * ((inside**2).sum(-1) + rest))[..., None, None]
    top = xp.concatenate([s_xx, column], axis=-1)
    bottom = xp.concatenate([transpose(column), s_yy], axis=-1)
    return xp.concatenate([top, bottom], axis=-2) / shots
