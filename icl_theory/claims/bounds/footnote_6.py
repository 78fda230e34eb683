"""Footnote 6: the Frobenius norm of an outer product is its largest singular value."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control


def _vectors(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """W_V h_i and W_K h_i of all demonstrations in the first layer."""
    return case.demonstrations @ case.model.value[0].T, case.demonstrations @ case.model.key[0].T


def measure(case: Case) -> np.ndarray:
    """$||a_i ⊗ b_i||_F$."""
    return np.array([np.linalg.norm(np.outer(a, b)) for a, b in zip(*_vectors(case), strict=True)])


def predict(case: Case) -> np.ndarray:
    """$σ_max(a_i b_iᵀ)$."""
    return np.array([np.linalg.norm(np.outer(a, b), 2) for a, b in zip(*_vectors(case), strict=True)])


def _two_terms(case: Case) -> np.ndarray:
    a, b = _vectors(case)
    return np.array([np.linalg.norm(a[[i, i - 1]].T @ b[[i, i - 1]]) for i in range(len(a))])


def _two_terms_spectral(case: Case) -> np.ndarray:
    a, b = _vectors(case)
    return np.array([np.linalg.norm(a[[i, i - 1]].T @ b[[i, i - 1]], 2) for i in range(len(a))])


def proof(size: int = 3) -> bool:
    """With symbols: $(a bᵀ)ᵀ(a bᵀ) = |a|² b bᵀ$ has the eigenvalue $|a|² |b|²$ at $b$, and 0 orthogonally to it."""
    a, b, x = (sp.Matrix(sp.symbols(f"{name}:{size}", real=True)) for name in "abx")
    outer = a * b.T
    gram, square = outer.T * outer, a.dot(a) * b.dot(b)
    orthogonal = x * b.dot(b) - b * b.dot(x)
    kept = sp.expand(gram * b - square * b) == sp.zeros(size, 1)
    gone = sp.expand(gram * orthogonal) == sp.zeros(size, 1)
    return kept and gone and sp.expand(gram.trace() - square) == 0


CLAIM = Claim(
    source="Y footnote 6, arXiv:2406.03768v2",
    statement="$||a ⊗ b||_F = σ_max(a bᵀ)$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="A matrix of rank one has one singular value. Values and keys of every demonstration, first layer.",
    proof=proof,
    requires=(),
    controls=(
        Control("a sum of two outer products", measure=_two_terms, predict=_two_terms_spectral),
        Control("nuclear norm off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
    cases=lambda factory: [
        *factory.random(1),
        *factory.random(factory.depth),
    ],  # an identity about two vectors needs no training
)
