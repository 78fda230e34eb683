"""E[S A S] for Gaussian tokens: the moment behind every exact one-layer risk."""

from itertools import product

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control

_NODES, _WEIGHTS = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)]), np.array([1, 4, 1]) / 6
"""Three-point Gauss-Hermite rule for N(0, 1), exact up to degree 5."""


def _setting(case: Case) -> tuple[np.ndarray, np.ndarray, int]:
    """Σ_w, a symmetric A made of W_K and W_Q, and N."""
    product_ = case.model.key[0].T @ case.model.query[0]
    return case.task.token_covariance(case.task_vector), product_ + product_.T, len(case.demonstrations)


def measure(case: Case) -> np.ndarray:
    """$N(N-1)$ pairs of different tokens and $N$ equal ones; $E h hᵀ A h hᵀ$ by a product rule of $3^D$ nodes."""
    sigma, a, count = _setting(case)
    size = len(sigma)
    nodes = np.array(list(product(_NODES, repeat=size))) @ np.linalg.cholesky(sigma).T
    model = np.prod(np.array(list(product(_WEIGHTS, repeat=size))), axis=1)
    forms = model * np.einsum("ni,ij,nj->n", nodes, a, nodes)
    equal = (nodes * forms[:, None]).T @ nodes
    return ((count - 1) * sigma @ a @ sigma + equal) / count


def predict(case: Case, *, trace: float = 1.0, pairs: float = 1.0) -> np.ndarray:
    """$((N+1)/N) Σ A Σ + (1/N) tr(A Σ) Σ$."""
    sigma, a, count = _setting(case)
    return ((count + pairs) * sigma @ a @ sigma + trace * np.trace(a @ sigma) * sigma) / count


def proof() -> bool:
    """$D = 2$ and symbolic $N$: fourth moments of two standard normals $u$, $h = R u$ with $R$ lower triangular."""
    n, u, v = sp.symbols("N u v")
    root = sp.Matrix([[sp.Symbol("r"), 0], [sp.Symbol("s"), sp.Symbol("t")]])
    a = sp.Matrix([[sp.Symbol("a"), sp.Symbol("b")], [sp.Symbol("b"), sp.Symbol("c")]])
    sigma, h = root * root.T, root * sp.Matrix([u, v])
    normal = {0: 1, 2: 1, 4: 3}  # E u^k; odd moments vanish

    def mean(entry: sp.Expr) -> sp.Expr:
        terms = sp.Poly(sp.expand(entry), u, v).terms()
        return sum((c * normal.get(i, 0) * normal.get(j, 0) for (i, j), c in terms), sp.Integer(0))

    equal = (h * h.T * a * h * h.T).applyfunc(mean)
    exact = ((n - 1) * sigma * a * sigma + equal) / n
    stated = ((n + 1) * sigma * a * sigma + (a * sigma).trace() * sigma) / n
    return (exact - stated).applyfunc(sp.simplify) == sp.zeros(2, 2)


CLAIM = Claim(
    source="Wishart moments, as used for Ahn et al. 2023 Theorem 1, arXiv:2306.00297v2",
    statement="$E[S A S] = ((N+1)/N) Σ A Σ + (1/N) tr(A Σ) Σ$ for $S = (1/N) Σ h hᵀ$, $h ~ N(0, Σ)$, and symmetric "
    "$A$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The closed form against an exact quadrature of the fourth moments of a token, with $A$ from the "
    "case's $W_K$ and $W_Q$ and $Σ$ the token covariance of its task.",
    proof=proof,
    requires=("linear regression", "token covariance of full rank"),
    controls=(
        Control("trace term left out", predict=lambda case: predict(case, trace=0.0)),
        Control("factor 1 instead of $(N+1)/N$", predict=lambda case: predict(case, pairs=0.0)),
        Control("off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
)
