"""Linear regression with few nonzero weights."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from icl_theory.core import checks
from icl_theory.tasks.closed_forms import FUNCTIONS, LABELS, TOKENS, rests_on
from icl_theory.tasks.linear_regression import LinearRegression


@dataclass(frozen=True, eq=False)
class SparseLinearRegression(LinearRegression):
    """Linear regression where w has s nonzero entries: w_i = sqrt(d_x/s) z_i on a uniform support, z_i ~ N(0, 1).

    The scale makes Ω = E w wᵀ = I, so that whatever depends on w through Ω alone (the one-layer optimum, least
    squares, ridge) equals that of a dense w ~ N(0, I).

    Args:
        dim: d_x, the input dimension.
        covariance: Λ, shape (d_x, d_x); the identity if None.
        noise_std: σ ≥ 0, on the demonstrations only.
        inputs: law of the independent u_i of x = Λ^(1/2) u.
        noise: law of ε, of the label noise σ ε.
        nonzero: s, from 1 to d_x.

    Raises: ValueError for what is out of range.
    Source: Garg et al. 2022, Section 4 (arXiv:2208.01066v3), who do not rescale.

    Example:
        >>> import numpy as np
        >>> from icl_theory import SparseLinearRegression
        >>> task = SparseLinearRegression(5, nonzero=2)
        >>> np.count_nonzero(task.sample_tasks(np.random.default_rng(0), batch=3), axis=1).tolist()
        [2, 2, 2]
    """

    task_covariance: Any = field(init=False, default=None)
    nonzero: int = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.integer("nonzero", self.nonzero, 1, self.dim, "at least one entry, at most all of them")

    # Of w they need E w wᵀ = Ω alone.
    zero_risk = LinearRegression.zero_risk  # pyright: ignore[reportIncompatibleMethodOverride]
    readout_moments = LinearRegression.readout_moments
    row = LinearRegression.row  # pyright: ignore[reportIncompatibleMethodOverride]

    @rests_on(*FUNCTIONS)
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

    @rests_on(*FUNCTIONS, *LABELS, *TOKENS)
    def require_sparse_posterior(self, what: str) -> "SparseLinearRegression":
        """Itself, if label noise is Gaussian: otherwise the posterior is no mixture of ridge regressions.

        Args:
            what: what needs it, for the message.

        Raises: ValueError for other label noise.
        """
        self._require_gaussian_noise(what)
        return self

    def require_gaussian_posterior(self, what: str) -> LinearRegression:
        """Always raises a ValueError: w is not Gaussian."""
        raise checks.error(
            f"task for {what}", "a SparseLinearRegression", "w ~ N(0, Ω)", "use LinearRegression, with the same Ω = I"
        )
