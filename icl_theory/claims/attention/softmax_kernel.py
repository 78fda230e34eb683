"""App. A.2: softmax attention is linear attention in the features of the exponential kernel."""

import numpy as np
import sympy as sp
from scipy.special import factorial

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.submodels import first_layer
from icl_theory.models.attention import forward

_ORDER = 60  # terms of exp(z) = Σ z^n / n!, enough for |z| ≤ 10 at double precision


def _scaled(case: Case) -> Case:
    """The same model with keys and queries small enough that the series of the exponential converges at once."""
    w = first_layer(case.model)
    size = np.abs(case.demonstrations @ w.key[0].T @ w.query[0] @ case.demonstrations.T).max()
    return case.with_model(w.replace(query=w.query / max(size / 4, 1.0)), "small scores")


def _query(case: Case) -> np.ndarray:
    return np.append(case.demonstrations[0, :-1] * 0.7, 0.0)


def measure(case: Case) -> np.ndarray:
    """The query after one softmax layer."""
    small = _scaled(case)
    return forward(small.model.replace(kind="softmax"), case.demonstrations, _query(case))


def predict(case: Case, *, order: int = _ORDER, with_query: bool = True, masked: bool = True) -> np.ndarray:
    """$h_q + (1/D') Σ_i W_V h_i φ(W_K h_i)ᵀ φ(W_Q h_q)$, $φᵀφ = Σ_n (kᵀq)^n / n!$, $D'$ over demonstrations and query.

    The monomial features of degree n are contracted pair by pair: their inner product is (kᵀq)^n / n!.
    """
    w, h, query = _scaled(case).model, case.demonstrations, _query(case)
    everything = np.vstack([h, query])
    scores = everything @ w.key[0].T @ (w.query[0] @ query)
    degrees = np.arange(order)
    kernel = (scores[:, None] ** degrees / factorial(degrees)).sum(axis=1)
    values = everything @ w.value[0].T
    if masked:
        values[-1] = 0.0
    total = kernel.sum() if with_query else kernel[:-1].sum()
    return query + kernel @ values / total


def _other_normaliser(case: Case) -> np.ndarray:
    """D' of another query, the first one turned round."""
    query, small = _query(case), _scaled(case).model
    everything = [np.vstack([case.demonstrations, q]) @ small.key[0].T @ (small.query[0] @ q) for q in (query, -query)]
    own, other = (np.exp(scores).sum() for scores in everything)
    return query + (predict(case) - query) * own / other


def proof(order: int = 5) -> bool:
    """Eq. 10 with symbols in two dimensions, and $exp(kᵀq) = Σ φ_α(k) φ_α(q)$, $φ_α(k) = k^α / sqrt(α!)$, term by
    term."""
    (k, m), (q, r) = (sp.symbols(f"{name}:2", real=True) for name in "kq")
    product = k * q + m * r
    gaussian = sp.exp(-((k - q) ** 2 + (m - r) ** 2) / 2)
    if sp.simplify(sp.exp((k**2 + m**2) / 2) * gaussian * sp.exp((q**2 + r**2) / 2) / sp.exp(product)) != 1:
        return False
    for degree in range(order + 1):
        sizes = [(i, degree - i, sp.factorial(i) * sp.factorial(degree - i)) for i in range(degree + 1)]
        features = sum((k**i * m**j * q**i * r**j / size for i, j, size in sizes), sp.Integer(0))
        if sp.expand(features - product**degree / sp.factorial(degree)) != 0:
            return False
    return True


CLAIM = Claim(
    source="Y App. A.2, Eq. 9 to 12, arXiv:2406.03768v2",
    statement="Softmax attention is $ĥ_q = h_q + (1/D') [Σ W_V h_i ⊗ φ(W_K h_i)] φ(W_Q h_q)$, $φ(k)ᵀφ(q) = exp(kᵀq)$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The softmax pass of the first layer against the monomial features of the exponential kernel, degree "
    "by degree up to 59 on scores up to 4. $D'$ runs over demonstrations and query, whose value is masked; it is "
    "another number for every query, so that $(1/D') Σ W_V h_i ⊗ φ(W_K h_i)$ is no fixed matrix. Eq. 10 and the "
    "features are derived symbolically.",
    proof=proof,
    controls=(
        Control("normaliser without the query", predict=lambda case: predict(case, with_query=False)),
        Control("query's value not masked", predict=lambda case: predict(case, masked=False)),
        Control("normaliser of another query", predict=_other_normaliser),
        Control("features of degree one at most", predict=lambda case: predict(case, order=2)),
    ),
)
