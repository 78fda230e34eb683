"""Tasks whose labels are vectors: regression with several outputs, and classification with one-hot labels."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.tasks.base import Task
from icl_theory.tasks.closed_forms import FUNCTIONS, INPUTS, LABELS, STEPS, TOKENS, rests_on
from icl_theory.tasks.laws import GAUSSIAN, Law
from icl_theory.tasks.linear_regression import LinearRegression


@dataclass(frozen=True, eq=False)
class VectorRegression(Task):
    """y = W x + σ ε in R^{d_y}; rows of W independent N(0, Ω), the ε_c independent; the query's label is clean.

    Given the inputs the outputs are independent copies of `LinearRegression`, so that whatever is linear in the
    labels has d_y times its risk: the one-layer optimum, least squares, ridge and Bayes.

    Args:
        dim: d_x, the input dimension.
        outputs: d_y, at least 2 (one output is `LinearRegression`).
        covariance: Λ, shape (d_x, d_x); the identity if None.
        task_covariance: Ω, shape (d_x, d_x), of every row of W; the identity if None.
        noise_std: σ ≥ 0, on the demonstrations only.
        inputs: law of the independent u_i of x = Λ^(1/2) u.
        noise: law of the independent ε_c.

    Raises: ValueError for what is out of range.

    Example:
        >>> from icl_theory import LinearRegression, VectorRegression, one_layer_optimum
        >>> several, one = VectorRegression(3, outputs=2), LinearRegression(3)
        >>> round(one_layer_optimum(several, shots=10)[1] / one_layer_optimum(one, shots=10)[1], 6)
        2.0
    """

    dim: int
    outputs: int
    covariance: Any = None
    task_covariance: Any = None
    noise_std: float = 0.0
    inputs: Law = GAUSSIAN
    noise: Law = GAUSSIAN

    def __post_init__(self) -> None:
        self._check_inputs()
        checks.integer("outputs", self.outputs, 2, None, "use LinearRegression for one output")
        object.__setattr__(self, "task_covariance", self._row.task_covariance)

    @cached_property
    def _row(self) -> LinearRegression:
        laws = self.inputs, self.noise
        return LinearRegression(self.dim, self.covariance, self.task_covariance, self.noise_std, *laws)

    @property
    def task_root(self) -> np.ndarray:
        """Ω^{1/2}, shape (d_x, d_x)."""
        return self._row.task_root

    @property
    @rests_on(*STEPS)
    def row(self) -> LinearRegression:
        """The task of one output."""
        return self._row

    @property
    @rests_on(*INPUTS, *FUNCTIONS, *LABELS)
    def zero_risk(self) -> float:
        """E |W x|² = d_y tr(Λ Ω)."""
        return self.outputs * self._row.zero_risk

    @rests_on(*STEPS)
    def readout_moments(self, shots: int) -> tuple[np.ndarray, np.ndarray]:
        """d_y times those of one output."""
        cross, moment = self._row.readout_moments(shots)
        return self.outputs * cross, self.outputs * moment

    @rests_on(*INPUTS, *LABELS, *TOKENS)
    def singular_note(self) -> str:
        """Of inputs or label noise that are not known to have a density; empty for others."""
        return self._singular_inputs()

    def sample_tasks(self, rng: np.random.Generator, batch: int) -> np.ndarray:
        """Matrices W, shape (batch, d_y, d_x)."""
        return rng.standard_normal((batch, self.outputs, self.dim)) @ self.task_root

    def labels(self, x: np.ndarray, tasks: np.ndarray) -> np.ndarray:
        """W x, shape (batch, n, d_y)."""
        return x @ tasks.swapaxes(1, 2)

    def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        """y + σ ε."""
        return labels + self.noise_std * self.noise.sample(rng, labels.shape)
