"""Tasks beyond dense linear regression: sparse w, a two-layer ReLU network, and classification with labels ±1."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import FUNCTIONS, INPUTS, LABELS, STEPS, TOKENS, rests_on
from icl_theory.tasks.laws import GAUSSIAN, Law


@dataclass(frozen=True, eq=False)
class ReLUTeacher(Task):
    """y = Σ_k a_k max(w_k · x, 0) + σ ε with w_k ~ N(0, I), a_k ~ N(0, 2/H), drawn per prompt; clean at the query.

    E[y² | x] = |x|². Since max(z, 0) = (z + |z|)/2, E[x y | teacher] = Λ β with β = ½ Σ_k a_k w_k for a symmetric x:
    β is then the best linear predictor, and E β βᵀ = I/2: half of E y² is linear.

    Args:
        dim: d_x, the input dimension.
        hidden: H, the number of ReLU units.
        covariance: Λ, shape (d_x, d_x); the identity if None.
        noise_std: σ ≥ 0, on the demonstrations only.
        inputs: law of the independent u_i of x = Λ^(1/2) u; the closed forms need a symmetric one.
        noise: law of ε, of the label noise σ ε.

    Raises: ValueError for what is out of range.
    Source: Garg et al. 2022, Section 4 (arXiv:2208.01066v3); the moments: elementary.

    Example:
        >>> from icl_theory import ReLUTeacher, one_layer_optimum
        >>> task = ReLUTeacher(3, hidden=8)
        >>> 1.5 < one_layer_optimum(task, shots=50)[1] < task.zero_risk == 3.0
        True
    """

    dim: int
    hidden: int
    covariance: Any = None
    noise_std: float = 0.0
    inputs: Law = GAUSSIAN
    noise: Law = GAUSSIAN

    def __post_init__(self) -> None:
        self._check_inputs()
        self._check_noise(self.noise_std, self.noise)
        checks.integer("hidden", self.hidden, 1, None, "use at least one ReLU unit")

    @property
    @rests_on(*INPUTS, *FUNCTIONS, *LABELS)
    def zero_risk(self) -> float:
        """E y_q² = H (2/H) ½ E|x|² = tr Λ."""
        return float(np.trace(self.covariance))

    @property
    @rests_on(*STEPS)
    def linear_risk(self) -> float:
        """E (y_q - β·x_q)² = tr Λ / 2, the risk of the best linear predictor that knows the teacher; symmetric x."""
        self._require_symmetric("the best linear predictor")
        return self.zero_risk / 2

    def _require_symmetric(self, what: str) -> None:
        """Raise an error for inputs that may be skewed: E[x |w · x|] is then not 0, and β not what S_xy estimates."""
        if not getattr(self.inputs, "symmetric", False):
            hint = "state `symmetric` if it is, or sample whole prompts"
            raise checks.error(f"task.inputs for {what}", repr(self.inputs), "a law known to be symmetric", hint)

    @rests_on(*STEPS)
    def readout_moments(self, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """Λ²/2, and ((N-1)/N) Λ²/2 + (1/N)(E[x xᵀ |x|²] + σ²Λ), from E β βᵀ = I/2 and E[y² | x] = |x|² + σ².

        For a symmetric law of u with a finite E u⁴.
        """
        self._require_symmetric("the moments of S_xy")
        signal = self.covariance @ self.covariance / 2
        single = self.input_quartic(np.eye(self.dim)) + self.noise_std**2 * self.covariance
        return signal, ((shots - 1) * signal + single) / shots

    @rests_on(*INPUTS, *LABELS, *TOKENS)
    def singular_note(self) -> str:
        """Without label noise all tokens may lie on one linear piece, where y x and y² are among the x xᵀ."""
        if self.noise_std == 0:
            return "without label noise all inputs can lie on one linear piece of the teacher"
        return self._singular_inputs()

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
        return labels + self.noise_std * self.noise.sample(rng, labels.shape)
