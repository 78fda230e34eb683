"""App. A.5, the step after Eq. 15: neither η nor the sign of Eq. 4 changes the information of an increment."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.noise_channels import channel_information, noise_channel

_POINTS = 3001
RATES = (-3.0, -0.01, 0.1, 2.0, 50.0)


def mixture(means: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Grid, p(x | H_s) for every set (points, sets), and p(x); as many points at every scale."""
    reach = 14 * np.sqrt(variances)
    grid = np.linspace((means - reach).min(), (means + reach).max(), _POINTS)
    density = np.exp(-0.5 * (grid[:, None] - means) ** 2 / variances) / np.sqrt(2 * np.pi * variances)
    return grid, density, density.mean(axis=1)


def divergence(means: np.ndarray, variances: np.ndarray) -> float:
    """I(X; H_s) = E KL(p(x | H_s) || p(x)) by the trapezoidal rule."""
    grid, density, marginal = mixture(means, variances)
    ratio = np.log(np.where(density > 0, density, 1.0)) - np.log(np.where(marginal > 0, marginal, 1.0))[:, None]
    return float(np.trapezoid((density * ratio).mean(axis=1), grid))


def measure(case: Case, *, noise: float = 1.0) -> np.ndarray:
    """$I(η(-G + C^{1/2} n); H_s)$ for five rates.

    `noise`: the power of η by which C^{1/2} n is multiplied.
    """
    means, variances = noise_channel(case)
    return np.array([divergence(-rate * means, abs(rate) ** (2 * noise) * variances) for rate in RATES])


def predict(case: Case) -> float:
    """$I(G + C^{1/2} n; H_s)$."""
    return channel_information(*noise_channel(case))


def _entropies(case: Case, rates: tuple[float, ...]) -> np.ndarray:
    means, variances = noise_channel(case)
    found = [mixture(-rate * means, rate**2 * variances) for rate in rates]
    return np.array([-np.trapezoid(p * np.log(np.where(p > 0, p, 1.0)), grid) for grid, _, p in found])


def proof() -> bool:
    """$|η|$ times the density of $ηX$ at $ηx$ is that of $X$ at $x$, $η$ of either sign: the ratio under the logarithm
    stays."""
    x, mean = sp.symbols("x g", real=True)
    variance, size = sp.symbols("c s", positive=True)

    def density(point: sp.Expr, mean: sp.Expr, variance: sp.Expr) -> sp.Expr:
        return sp.exp(-((point - mean) ** 2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)

    ratios = [
        size * density(rate * x, rate * mean, size**2 * variance) / density(x, mean, variance) for rate in (size, -size)
    ]
    return [sp.simplify(ratio) for ratio in ratios] == [1, 1]


CLAIM = Claim(
    source="Y Eq. 4 and App. A.5 (the step after Eq. 15), arXiv:2406.03768v2",
    statement="$I(η(-G_t + C_t^{1/2} n); H_s | W_{t-1}) = I(G_t + C_t^{1/2} n; H_s | W_{t-1})$ for every $η ≠ 0$, "
    "of either sign.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="One direction of the first layer's update, given one of eight demonstration sets; five rates $η$ at a "
    "given $W_{t-1}$ (whose own law still depends on $η$). Eq. 4 descends and Theorem 1 adds: the information does not "
    "see it. It is the step that drops every common factor of $G_t$ and $C_t^{1/2}$, and with it the norm that Remark "
    "4 wants to control.",
    proof=proof,
    requires=(),
    controls=(
        Control("noise of its own scale, not multiplied by $η$", measure=lambda case: measure(case, noise=0.0)),
        Control("noise multiplied by $η^{1/2}$, as in the SDE's step", measure=lambda case: measure(case, noise=0.5)),
        Control(
            "differential entropy instead",
            measure=lambda case: _entropies(case, RATES),
            predict=lambda case: float(_entropies(case, (1.0,))[0]),
        ),
    ),
    tolerance=1e-9,
)
