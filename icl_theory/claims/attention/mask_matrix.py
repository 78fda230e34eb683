"""App. B.1: what the mask matrix does to Eq. 1 without its softmax."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.prompt_matrices import mask_of, prompt_matrix
from icl_theory.models.attention import forward


def by_matrices(case: Case, kept: int | None = None) -> np.ndarray:
    """The last column after all layers of $Ĥ = H + W_V H M (W_K H)ᵀ W_Q H$ over the length of the predicted one."""
    h, w = prompt_matrix(case), case.model
    m = mask_of(h.shape[1], h.shape[1] - 1 if kept is None else kept)
    for value, key, query in zip(w.value, w.key, w.query, strict=True):
        h = h + value @ h @ m @ (key @ h).T @ query @ h
    return h[:, -1] / np.linalg.norm(token_by_token(case))


def predict(case: Case, size: float = 1.0) -> np.ndarray:
    """The query after all layers, token by token, of length one."""
    query = token_by_token(case)
    return size * query / np.linalg.norm(query)


def token_by_token(case: Case) -> np.ndarray:
    """The query after all layers when it is no key and no value: the sums run over the demonstrations only."""
    h = prompt_matrix(case)
    return forward(case.model.replace(normalization="sum"), h[:, :-1].T, h[:, -1])


def proof(dimension: int = 2, count: int = 3) -> bool:
    """Symbolically: $H M = [H_s, 0]$, and $H M (W_K H)ᵀ = H_s (W_K H_s)ᵀ$, entry by entry."""
    shown = sp.Matrix(dimension, count - 1, sp.symbols(f"h:{dimension * (count - 1)}"))
    h = shown.row_join(sp.Matrix(sp.symbols(f"q:{dimension}")))
    key = sp.Matrix(dimension, dimension, sp.symbols(f"k:{dimension**2}"))
    m = sp.diag(*[1] * (count - 1), 0)
    left = h * m == shown.row_join(sp.zeros(dimension, 1))
    return left and sp.expand(h * m * (key * h).T - shown * (key * shown).T) == sp.zeros(dimension, dimension)


CLAIM = Claim(
    source="Y Eq. 1 to 3 without softmax, App. A.1 (8) and B.1, arXiv:2406.03768v2",
    statement="With $M = diag(I, 0)$: $H M = [H_s, 0]$ and $W_V H M (W_K H)ᵀ = W_V H_s (W_K H_s)ᵀ$, so that in every "
    "layer all tokens, the query too, see the demonstrations and nothing else.",
    origin="paper",
    relation="equal",
    measure=by_matrices,
    predict=predict,
    explanation="Products of whole matrices with $M$ through all layers against sums over the demonstrations; the "
    "query's label slot is not zero. Under softmax $M$ hides the query's value only: see mask_softmax.",
    proof=proof,
    requires=(),
    controls=(
        Control("no mask: the query sees itself", measure=lambda case: by_matrices(case, prompt_matrix(case).shape[1])),
        Control(
            "last demonstration masked too", measure=lambda case: by_matrices(case, prompt_matrix(case).shape[1] - 2)
        ),
        Control("off by 1 %", predict=lambda case: predict(case, 1.01)),
    ),
    tolerance=1e-9,
)
