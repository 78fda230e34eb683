"""Tasks beyond dense linear regression: sparse w, a two-layer ReLU network, and classification with labels ±1."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icl_theory import _checks
from icl_theory.task_base import Task
from icl_theory.tasks import LinearRegression


@dataclass(frozen=True, eq=False)
class SparseLinearRegression(LinearRegression):
    """Linear regression where w has s nonzero entries: w_i = sqrt(d_x/s) z_i on a uniform support, z_i ~ N(0, 1).

    The scale makes Ω = E w wᵀ = I, so that whatever depends on w through Ω alone (the one-layer optimum, least
    squares, ridge) equals that of a dense w ~ N(0, I).

    Args:
        dim, covariance, noise_std, inputs: as in `LinearRegression`.
        nonzero: s, from 1 to d_x.

    Raises: ValueError. Source: Garg et al. 2022, Section 4 (arXiv:2208.01066v3), who do not rescale.
    """

    task_covariance: Any = field(init=False, default=None)
    nonzero: int = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.integer("nonzero", self.nonzero, 1, self.dim, "at least one entry, at most all of them")

    def task_quartic(self, a: np.ndarray, b: np.ndarray) -> float:
        """E[wᵀAw wᵀBw] = m₂₂ (tr A tr B + 2 tr AB) + (m₄ - 3 m₂₂) Σ A_ii B_ii for symmetric A and B.

        m₄ = E w_i⁴ = 3 d/s and m₂₂ = E w_i² w_j² = (d/s)(s-1)/(d-1); moments with an odd power vanish.
        """
        ratio = self.dim / self.nonzero
        fourth = 3 * ratio
        mixed = ratio * (self.nonzero - 1) / (self.dim - 1) if self.dim > 1 else fourth / 3
        diagonal = np.diag(a) @ np.diag(b)
        return float(mixed * (np.trace(a) * np.trace(b) + 2 * np.trace(a @ b)) + (fourth - 3 * mixed) * diagonal)

    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Task vectors with `nonzero` entries, shape (batch, d_x)."""
        values = np.sqrt(self.dim / self.nonzero) * rng.standard_normal((batch, self.dim))
        place = rng.random((batch, self.dim)).argsort(axis=1)  # a uniform permutation per task
        return np.where(place < self.nonzero, values, 0.0)

    def require_gaussian_tasks(self, what: str) -> LinearRegression:
        """Refuse: w is not Gaussian."""
        raise _checks.refuse(
            f"task for {what}", "a SparseLinearRegression", "w ~ N(0, Ω)", "use LinearRegression, with the same Ω = I"
        )


@dataclass(frozen=True, eq=False)
class ReLUTeacher(Task):
    """y = Σ_k a_k max(w_k · x, 0) + σ ε with w_k ~ N(0, I), a_k ~ N(0, 2/H), drawn per prompt; clean at the query.

    E[y² | x] = |x|². Since max(z, 0) = (z + |z|)/2 and x is symmetric, E[x y | teacher] = Λ β with
    β = ½ Σ_k a_k w_k, the best linear predictor, and E β βᵀ = I/2: half of E y² is linear.

    Args:
        dim: d_x. hidden: H, the number of ReLU units. covariance: Λ, the identity if None.
        noise_std: σ ≥ 0, on the demonstrations only. inputs: "gaussian" or "uniform", see `LinearRegression`.

    Raises: ValueError. Source: Garg et al. 2022, Section 4 (arXiv:2208.01066v3); the moments: elementary.
    """

    dim: int
    hidden: int
    covariance: Any = None
    noise_std: float = 0.0
    inputs: str = "gaussian"

    def __post_init__(self) -> None:
        self._check_inputs()
        _checks.integer("hidden", self.hidden, 1, None, "use at least one ReLU unit")
        _checks.number("noise_std", self.noise_std, low=0.0, cure="use 0 for noise-free labels")

    @property
    def zero_risk(self) -> float:
        """E y_q² = H (2/H) ½ E|x|² = tr Λ."""
        return float(np.trace(self.covariance))

    @property
    def linear_risk(self) -> float:
        """E (y_q - β·x_q)² = tr Λ / 2, the risk of the best linear predictor that knows the teacher."""
        return self.zero_risk / 2

    def readout_moments(self, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """Λ²/2, and ((N-1)/N) Λ²/2 + (1/N)(E[x xᵀ |x|²] + σ²Λ), from E β βᵀ = I/2 and E[y² | x] = |x|² + σ²."""
        signal = self.covariance @ self.covariance / 2
        single = self.input_quartic(np.eye(self.dim)) + self.noise_std**2 * self.covariance
        return signal, ((shots - 1) * signal + single) / shots

    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Rows [w_k, a_k] of every teacher, shape (batch, hidden, d_x + 1)."""
        rows = rng.standard_normal((batch, self.hidden, self.dim + 1))
        rows[..., -1] *= np.sqrt(2 / self.hidden)
        return rows

    def labels(self, x: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """Σ_k a_k max(w_k · x, 0), shape (batch, n)."""
        hidden = np.maximum(x @ tasks[..., :-1].swapaxes(1, 2), 0.0)
        return np.einsum("bnh,bh->bn", hidden, tasks[..., -1])

    def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """y + σ ε."""
        return labels + self.noise_std * rng.standard_normal(labels.shape)


@dataclass(frozen=True, eq=False)
class LinearClassification(Task):
    """y = sign(w · x) ∈ {-1, 1} with w ~ N(0, I); a demonstration shows -y with probability q, the query y.

    For x ~ N(0, λI), E[x y | w] = sqrt(2λ/π) w/|w|; flips multiply it by 1 - 2q.

    Args:
        dim: d_x. covariance: Λ, the identity if None; the closed forms need λI.
        flip_probability: q, from 0 to 1/2. inputs: "gaussian", or "uniform" (no closed forms).

    Raises: ValueError. Source: the half-normal mean E|z| = sqrt(2/π).
    """

    dim: int
    covariance: Any = None
    flip_probability: float = 0.0
    inputs: str = "gaussian"

    def __post_init__(self) -> None:
        self._check_inputs()
        flip = _checks.number("flip_probability", self.flip_probability, low=0.0, cure="use 0 for labels without flips")
        if flip > 0.5:
            raise _checks.refuse("flip_probability", repr(flip), "at most 0.5", "flip less than half of the labels")

    @property
    def zero_risk(self) -> float:
        """E y_q² = 1."""
        return 1.0

    @property
    def _round_inputs(self) -> bool:
        return bool(np.array_equal(self.covariance, self.covariance[0, 0] * np.eye(self.dim)))

    @property
    def knows_moments(self) -> bool:
        """Gaussian x ~ N(0, λI) only."""
        return self.inputs == "gaussian" and self._round_inputs

    def correct(self, prediction: np.ndarray, y_query: np.ndarray) -> np.ndarray:
        """Whether the sign of a prediction (batch,) is the query's label, shape (batch,)."""
        return np.where(prediction >= 0, 1.0, -1.0) == y_query

    def readout_moments(self, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """(1-2q) C and ((N-1)/N) (1-2q)² C + Λ/N with C = (2λ/π) I/d_x, since y² = 1; Gaussian x ~ N(0, λI) only."""
        scale = self.covariance[0, 0]
        if not self.knows_moments:
            got = f"{self.inputs} inputs with Λ {'=' if self._round_inputs else '≠'} λI"
            cure = "drop covariance and inputs, or sample"
            raise _checks.refuse("task for the moments of S_xy", got, "Gaussian inputs with Λ = λI", cure)
        kept = 1 - 2 * self.flip_probability
        signal = 2 * scale / (np.pi * self.dim) * np.eye(self.dim)
        return kept * signal, ((shots - 1) * kept**2 * signal + self.covariance) / shots

    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Normal vectors w ~ N(0, I) of the separating planes, shape (batch, d_x)."""
        return rng.standard_normal((batch, self.dim))

    def labels(self, x: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """sign(w · x), with sign(0) = 1, shape (batch, n)."""
        return np.where(np.einsum("bnd,bd->bn", x, tasks) >= 0, 1.0, -1.0)

    def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """y, or -y with probability q."""
        return np.where(rng.random(labels.shape) < self.flip_probability, -labels, labels)
