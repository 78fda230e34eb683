"""The Gram trick: the spectrum of the D² x D² noise covariance from an N x N matrix of inner products."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.noise.covariance import gradient_noise, sampling_factor


def measure(case: Case) -> np.ndarray:
    """The $N$ largest eigenvalues of $C_1$, built as a $D² x D²$ matrix."""
    noise = gradient_noise(case.model, case.demonstrations, shots=case.shots)
    return np.linalg.eigvalsh(noise.dense())[::-1][: len(case.demonstrations)]


def inner_products(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """a_i·a_j and b_i·b_j of the gradients a_i b_iᵀ, each (N, N)."""
    w, tokens = case.model, case.demonstrations
    a, b = tokens @ w.value[0].T, tokens @ w.key[0].T @ w.query[0]
    return a @ a.T, b @ b.T


def predict(case: Case, products: np.ndarray | None = None, *, centred: bool = True) -> np.ndarray:
    """Eigenvalues of $(N-b)/(b(N-1)N) J [(a_i·a_j)(b_i·b_j)] J$, $J = I - 1 1ᵀ/N$."""
    count = len(case.demonstrations)
    gram = np.prod(inner_products(case), axis=0) if products is None else products
    j = np.eye(count) - centred / count
    found = sampling_factor(count, case.shots) / count * np.linalg.eigvalsh(j @ gram @ j)[::-1]
    return found[: case.model.token_dim**2]  # all there are of C_t


def proof() -> bool:
    """$N = 3$ gradients with two entries, in symbols: the characteristic polynomials agree up to a power of the
    variable.

    And ⟨a bᵀ, c dᵀ⟩ = (a·c)(b·d) for D = 2.
    """
    x = sp.Symbol("x")
    points = sp.Matrix(3, 2, sp.symbols("g:6"))
    centred = points - sp.ones(3, 3) * points / 3
    small, large = (m.charpoly(x).as_expr() for m in (centred.T * centred, centred * centred.T))
    a, b, c, d = (sp.Matrix(sp.symbols(f"{name}:2")) for name in "abcd")
    inner = ((a * b.T).T * (c * d.T)).trace() - a.dot(c) * b.dot(d)
    return sp.expand(large - x * small) == 0 and sp.expand(inner) == 0


CLAIM = Claim(
    source="new; on the covariance of Y Assumption 1 and App. C.4, arXiv:2406.03768v2",
    statement="The eigenvalues of $(N-b)/(b(N-1)N) J [(a_i·a_j)(b_i·b_j)] J$, $J = I - 1 1ᵀ/N$, are the nonzero ones "
    "of $C_t$, with $g_i = a_i b_iᵀ$.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="First layer, $N = 20$ demonstrations, $D² = 36$: twenty eigenvalues by two methods, one of which "
    "never builds a matrix of $D²$ rows. So traces, log-determinants and samples of the noise cost $O(N² D + N³)$.",
    proof=proof,
    requires=(),
    controls=(
        Control("not centred", predict=lambda case: predict(case, centred=False)),
        Control("$a_i·a_j$ alone", predict=lambda case: predict(case, inner_products(case)[0])),
        Control("one shot fewer", predict=lambda case: predict(case) * _fewer(case)),
    ),
)


def _fewer(case: Case) -> float:
    count = len(case.demonstrations)
    return sampling_factor(count, case.shots - 1) / sampling_factor(count, case.shots)
