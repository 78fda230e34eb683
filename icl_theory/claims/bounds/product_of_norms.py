"""App. A.6, Eq. 19, as Theorem 2 uses it: the norm of a product is at most the product of the norms."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.symbolic_matrices import product_of_norms_proof
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
    proof=product_of_norms_proof,
    requires=(),
    controls=(
        Control("bound divided by $D$, 1 % less", predict=lambda case: 0.99 / case.model.token_dim),
        Control("largest singular values on both sides", measure=_spectral),
    ),
)
