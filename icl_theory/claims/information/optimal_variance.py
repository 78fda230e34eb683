"""App. A.5, below Eq. 17: the best isotropic prior variance, and the value of the divergence at it."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.noise.covariance import gradient_noise


def _pieces(case: Case) -> tuple[float, float, int]:
    """E = ||G||² + tr C, log pdet C and d of the first layer."""
    noise = gradient_noise(case.model, case.demonstrations, shots=case.shots)
    gradient = implicit_trajectory(case.model, case.demonstrations).gradient[0]
    return float((gradient**2).sum()) + noise.trace, noise.log_pseudo_determinant, noise.rank


def divergence(size: float, volume: float, d: int, variance: np.ndarray | float) -> np.ndarray:
    """KL(N(G, C) || N(0, s I)) = ½ [E/s - d + d log s - log det C] on the support."""
    return 0.5 * (size / np.asarray(variance) - d + d * np.log(variance) - volume)


def measure(case: Case) -> np.ndarray:
    """Smallest divergence on a grid of variances around $E/d$, and at $E/d$ itself."""
    size, volume, d = _pieces(case)
    grid = size / d * np.exp(np.linspace(-1, 1, 4001))
    return np.array([divergence(size, volume, d, grid).min(), divergence(size, volume, d, size / d)])


def predict(case: Case) -> float:
    """$½ [d log(E/d) - log det C]$."""
    size, volume, d = _pieces(case)
    return 0.5 * (d * np.log(size / d) - volume)


def proof() -> bool:
    """The derivative in $s$ vanishes only at $s = E/d$, the second derivative is positive there."""
    s, size, d, volume = sp.symbols("s E d v", positive=True)
    value = (size / s - d + d * sp.log(s) - volume) / 2
    roots = sp.solve(sp.diff(value, s), s)
    at_root = sp.simplify(value.subs(s, size / d) - (d * sp.log(size / d) - volume) / 2)
    curvature = sp.simplify(sp.diff(value, s, 2).subs(s, size / d))
    return roots == [size / d] and at_root == 0 and bool(curvature.is_positive)


CLAIM = Claim(
    source="Y App. A.5 (the optimum below Eq. 17), arXiv:2406.03768v2; $d = d_S$ on the support",
    statement="The best isotropic prior $N(0, s I)$ has $s = (||G||² + tr C)/d$ and divergence $½ [d log s - log det "
    "C]$.",
    origin="repaired",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="Divergences of the first layer's noise over a grid of variances against the closed form, and the "
    "calculus symbolically.",
    requires=(),
    controls=(
        Control(
            "$tr C$ left out",
            predict=lambda case: (
                0.5
                * (
                    _pieces(case)[2]
                    * np.log(
                        (_pieces(case)[0] - gradient_noise(case.model, case.demonstrations, shots=case.shots).trace)
                        / _pieces(case)[2]
                    )
                    - _pieces(case)[1]
                )
            ),
        ),
        Control(
            "$d = D²$ instead of $d_S$",
            predict=lambda case: 0.5 * (36 * np.log(_pieces(case)[0] / 36) - _pieces(case)[1]),
        ),
    ),
    proof=proof,
    tolerance=1e-9,
)
