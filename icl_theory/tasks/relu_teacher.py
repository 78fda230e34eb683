"""Tasks beyond dense linear regression: sparse w, a two-layer ReLU network, and classification with labels ±1."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.tasks.base import Task


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
        checks.integer("hidden", self.hidden, 1, None, "use at least one ReLU unit")
        checks.number("noise_std", self.noise_std, low=0.0, cure="use 0 for noise-free labels")

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
