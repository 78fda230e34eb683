"""Footnote 5: Eq. 4 as one step of length η of a stochastic differential equation."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.models.attention import second_moment

RATES = (0.001, 0.01, 0.1, 0.5, 1.0)


def _drifts(case: Case) -> np.ndarray:
    """Eigenvalues λ of the inputs' second moment: along them ∇L = λ (w - w*) for least squares."""
    x = case.demonstrations[:, :-1]
    return np.linalg.eigvalsh(second_moment(x))


def exact(drift: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Mean of w - w* and variance after time η, from w - w* = 1, of drift -λ (w - w*), diffusion (η C)^{1/2}, C = 1."""
    return np.stack([np.exp(-drift * rate), -rate * np.expm1(-2 * drift * rate) / (2 * drift)])


def measure(case: Case, *, noise: float = 1.0) -> np.ndarray:
    """Distance of Eq. 4 from the equation after one step: of the mean over $η²$, of the variance over $η³$.

    Every eigenvalue and rate. `noise` = 0 takes the diffusion C^{1/2} in place of (η C)^{1/2}.
    """
    drift, rate = (part.ravel() for part in np.meshgrid(_drifts(case), RATES))
    mean, variance = exact(drift, rate)
    variance = variance * rate ** (noise - 1)
    return np.stack([np.abs(1 - rate * drift - mean) / rate**2, np.abs(rate**2 - variance) / rate**3])


def predict(case: Case, share: float = 1.0) -> np.ndarray:
    """$λ²/2$ for the mean, $λ$ for the variance."""
    drift = np.meshgrid(_drifts(case), RATES)[0].ravel()
    return share * np.stack([drift**2 / 2, drift])


def proof() -> bool:
    """With symbols: exact minus Eq. 4 is $λ² η²/2 + O(η³)$ in the mean and $-λ η³ + O(η⁴)$ in the variance."""
    a, rate, time = sp.symbols("a eta t", positive=True)
    mean = sp.exp(-a * rate)
    variance = sp.integrate(rate * sp.exp(-2 * a * (rate - time)), (time, 0, rate))
    first = sp.series(mean - (1 - rate * a), rate, 0, 3).removeO()
    second = sp.series(variance - rate**2, rate, 0, 4).removeO()
    return sp.expand(first - a**2 * rate**2 / 2) == 0 and sp.expand(second + a * rate**3) == 0


CLAIM = Claim(
    source="Y footnote 5 and Eq. 4, arXiv:2406.03768v2",
    statement="Eq. 4 is one step of length $η$ of the equation with drift $-∇L$ and diffusion $(η C)^{1/2}$: where $∇L "
    "= λ (W - w)$, its mean is off by at most $(λ²/2) η² |W - w|$ and its variance by at most $λ η³ C$.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="Least squares on the case's demonstrations, $C = 1$, every eigenvalue $λ$ of the inputs' second "
    "moment, $η$ from 0.001 to 1, against the exact law of the equation. The step discretises it well if $λ η$ is "
    "small. The trajectory of Theorem 1 has $η = 1$, where these errors are of the size of the step.",
    proof=proof,
    requires=("no model but its own",),
    controls=(
        Control("diffusion $C^{1/2}$, without $η$", measure=lambda case: measure(case, noise=0.0)),
        Control("half of the errors allowed", predict=lambda case: predict(case, 0.5)),
    ),
    cases=lambda factory: factory.one_layer,
    tolerance=1e-7,
)
