"""App. A.6, Eq. 19, as Theorem 2 uses it: the norm of a product is at most the product of the norms."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.descent.trajectory import implicit_trajectory


def measure(case: Case) -> np.ndarray:
    """$||G_t||_F²$ over $||ΔW_t||_F² ||I + W_{t-1}||_F²$ in every layer."""
    path = implicit_trajectory(case.model, case.demonstrations)
    maps = np.eye(case.model.token_dim) + path.accumulated[:-1]
    size = (path.delta**2).sum(axis=(1, 2)) * (maps**2).sum(axis=(1, 2))
    return (path.gradient**2).sum(axis=(1, 2)) / size


def _spectral(case: Case) -> np.ndarray:
    """Both norms on the right taken as largest singular values."""
    path = implicit_trajectory(case.model, case.demonstrations)
    maps = np.eye(case.model.token_dim) + path.accumulated[:-1]
    size = np.linalg.norm(path.delta, 2, axis=(1, 2)) * np.linalg.norm(maps, 2, axis=(1, 2))
    return (path.gradient**2).sum(axis=(1, 2)) / size**2


def proof() -> bool:
    """$2 x 2$ with symbols (Lagrange): $||A||² ||B||² - ||A B||² = Σ_ij (a_{i1} b_{2j} - a_{i2} b_{1j})²$, a sum of
    squares."""
    (a, b, c, d), (e, f, g, h) = (sp.symbols(f"{name}:4", real=True) for name in "ab")
    left, right = sp.Matrix([[a, b], [c, d]]), sp.Matrix([[e, f], [g, h]])
    sizes = [sum((entry**2 for entry in matrix.flat()), sp.Integer(0)) for matrix in (left, right, left * right)]
    rest = sum(((x * v - y * u) ** 2 for x, y in ((a, b), (c, d)) for u, v in ((e, g), (f, h))), sp.Integer(0))
    return sp.expand(sizes[0] * sizes[1] - sizes[2] - rest) == 0


CLAIM = Claim(
    source="Y Eq. 19 and the last step of Theorem 2, App. A.5 and $A$.6, arXiv:2406.03768v2",
    statement="$||G_t||_F² = ||ΔW_t (I + W_{t-1})||_F² ≤ ||ΔW_t||_F² ||I + W_{t-1}||_F²$.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=lambda case: 1.0,
    explanation="The ratio of both sides in every layer. In the first one, where $W_0 = 0$, it is $1/D$: the step that "
    "brings the norms into Theorem 2 gives a factor $D$ away before anything is truncated. The largest singular value "
    "of $I + W_{t-1}$ would do in place of its Frobenius norm.",
    proof=proof,
    controls=(
        Control("bound divided by $D$, 1 % less", predict=lambda case: 0.99 / case.model.token_dim),
        Control("largest singular values on both sides", measure=_spectral),
    ),
)
