"""Linear regression, the task with most truths in closed form, and S drawn without drawing its tokens.

What every task offers is in `tasks.base`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.core.numerics import transpose
from icl_theory.tasks.base import Task, square_root
from icl_theory.tasks.closed_forms import FUNCTIONS, INPUTS, LABELS, STEPS, TOKENS, rests_on
from icl_theory.tasks.laws import GAUSSIAN, Gaussian, Law
from icl_theory.tasks.prompt import Prompt

__all__ = ["LinearRegression", "Prompt", "Task", "assemble_moments", "square_root"]


@dataclass(frozen=True, eq=False)
class LinearRegression(Task):
    """y = w · x + σ ε with x = Λ^{1/2} u, w ~ N(0, Ω), u and ε of mean 0 and variance 1; the query's label is clean.

    Args:
        dim: d_x, the input dimension.
        covariance: Λ, shape (d_x, d_x); the identity if None.
        task_covariance: Ω, shape (d_x, d_x); the identity if None.
        noise_std: σ ≥ 0, on the demonstrations only.
        inputs: law of the independent u_i: `Gaussian()`, `Uniform()`, `StudentT(dof)`, `Mixture(...)` or your own.
        noise: law of ε, likewise.

    Raises: ValueError for a bad dimension, a covariance that is not positive semidefinite, σ < 0, or no law.

    Example:
        >>> from icl_theory import LinearRegression, Uniform, one_layer_optimum
        >>> task = LinearRegression(5, noise_std=0.5, inputs=Uniform())
        >>> round(one_layer_optimum(task, shots=20)[1], 3)
        1.008
    """

    dim: int
    covariance: Any = None
    task_covariance: Any = None
    noise_std: float = 0.0
    inputs: Law = GAUSSIAN
    noise: Law = GAUSSIAN

    def __post_init__(self) -> None:
        self._check_inputs()
        self._check_noise(self.noise_std, self.noise)
        tasks = checks.covariance("task_covariance", self.task_covariance, self.dim)
        object.__setattr__(self, "task_covariance", tasks)

    @property
    @rests_on(*INPUTS, *FUNCTIONS, *LABELS)
    def zero_risk(self) -> float:
        """E (0 - w·x)² = tr(Λ Ω), the risk of predicting zero."""
        return float(np.trace(self.covariance @ self.task_covariance))

    @cached_property
    def task_root(self) -> np.ndarray:
        """Ω^{1/2}, shape (d_x, d_x)."""
        return square_root(self.task_covariance)

    @rests_on(*INPUTS, "labels", *TOKENS)
    def token_covariance(self, task_vector: Any) -> np.ndarray:
        """Σ_w = E h hᵀ = [[Λ, Λw], [wᵀΛ, wᵀΛw + σ²]] of a token [x; y] of task w, shape (D, D).

        Args:
            task_vector: w, shape (d_x,).
        """
        w = checks.array("task_vector", task_vector, (self.dim,))
        column = self.covariance @ w
        return np.block(
            [[self.covariance, column[:, None]], [column[None], np.array([[w @ column + self.noise_std**2]])]]
        )

    @rests_on(*FUNCTIONS)
    def task_quartic(self, a: np.ndarray, b: np.ndarray) -> float:
        """E[wᵀAw wᵀBw] = tr(AΩ) tr(BΩ) + 2 tr(AΩBΩ) for symmetric A and B; -w has the law of w, and E w wᵀ = Ω.

        Args:
            a: A, shape (d_x, d_x).
            b: B, shape (d_x, d_x).
        """
        a, b = a @ self.task_covariance, b @ self.task_covariance
        return float(np.trace(a) * np.trace(b) + 2 * np.trace(a @ b))

    @rests_on(*STEPS)
    def readout_moments(self, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """ΛΩΛ, and ((N-1)/N) ΛΩΛ + (1/N)(E[x xᵀ Ω x xᵀ] + σ²Λ): N(N-1) pairs of tokens, and N single ones.

        Of u they need E u⁴, of ε the variance alone; both may be skewed.
        """
        signal = self.covariance @ self.task_covariance @ self.covariance
        single = self.input_quartic(self.task_covariance) + self.noise_std**2 * self.covariance
        return signal, ((shots - 1) * signal + single) / shots

    @rests_on(*INPUTS, *LABELS, *TOKENS)
    def singular_note(self) -> str:
        """Of inputs or label noise that are not known to have a density; empty for others."""
        return self._singular_inputs()

    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Task vectors w ~ N(0, Ω), shape (batch, d_x)."""
        return rng.standard_normal((batch, self.dim)) @ self.task_root

    def labels(self, x: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """w · x, shape (batch, n)."""
        return np.einsum("bnd,bd->bn", x, tasks)

    def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """y + σ ε."""
        return labels + self.noise_std * self.noise.sample(rng, labels.shape)

    @property
    @rests_on(*STEPS)
    def row(self) -> "LinearRegression":
        """Itself."""
        return self

    @rests_on(*INPUTS, *LABELS, *TOKENS)
    def require_linear(self, what: str) -> "LinearRegression":  # noqa: ARG002  (the base class names it in its error)
        """Itself."""
        return self

    @rests_on(*INPUTS, *LABELS, *TOKENS)
    def require_gaussian_tokens(self, what: str) -> "LinearRegression":
        """Itself. Raises: ValueError unless inputs and label noise are Gaussian."""
        if type(self.inputs) is not Gaussian:
            hint = "use LinearRegression(inputs=Gaussian())"
            raise checks.error(f"task.inputs for {what}", repr(self.inputs), "Gaussian inputs", hint)
        return self._require_gaussian_noise(what)

    @rests_on(*FUNCTIONS, *LABELS, *TOKENS)
    def require_gaussian_posterior(self, what: str) -> "LinearRegression":
        """Itself. Raises: ValueError unless label noise is Gaussian; a subclass with another law of w always raises."""
        return self._require_gaussian_noise(what)

    def _require_gaussian_noise(self, what: str) -> "LinearRegression":
        if self.noise_std > 0 and type(self.noise) is not Gaussian:
            hint = "use LinearRegression(noise=Gaussian())"
            raise checks.error(f"task.noise for {what}", repr(self.noise), "Gaussian label noise", hint)
        return self

    @rests_on(*INPUTS, *LABELS, *TOKENS)
    def sample_moments(self, rng: np.random.Generator, batch: int, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """Second moments S (batch, D, D) and task vectors w (batch, d_x), at a cost that does not grow with shots.

        N S_xx ~ Wishart(Λ, N) by Bartlett's decomposition; the labels' noise enters through its projection on
        the inputs and a χ² rest, both exact.

        Args:
            rng: the generator that draws them.
            batch: how many prompts.
            shots: N, the demonstrations of a prompt.

        Raises: ValueError unless inputs and label noise are Gaussian.
        """
        self.require_gaussian_tokens("sampling S directly")
        batch = checks.integer("batch", batch, 1, None, "sample at least one prompt")
        shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
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
