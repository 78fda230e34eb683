"""The "UB" with a factor N (Cauchy-Schwarz) bounds ||ΔW||_F²; attained by equal tokens."""

import itertools

import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.symbolic_matrices import product_of_norms_proof
from icl_theory.claims.quantities.update_norms import summed_update_norm, upper_bound, with_equal_tokens


def predict(case: Case) -> float:
    """$N Σ_i ||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F²$."""
    return len(case.demonstrations) * upper_bound(case)


def proof(count: int = 3) -> bool:
    """With symbols: $N Σ |x_i|² - |Σ x_i|² = Σ_{i<j} |x_i - x_j|²$, entry by entry; and Lagrange for $||x W_Q||$."""
    entries = sp.symbols(f"x:{count}", real=True)
    squares = sum((x**2 for x in entries), sp.Integer(0))
    pairs = sum(((x - y) ** 2 for x, y in itertools.combinations(entries, 2)), sp.Integer(0))
    return sp.expand(count * squares - sum(entries) ** 2 - pairs) == 0 and product_of_norms_proof()


CLAIM = Claim(
    source="Y Example 1 repaired, App. A.6, arXiv:2406.03768v2",
    statement="$||ΔW||_F² ≤ N Σ_i ||W_V h_i ⊗ W_K h_i||_F² ||W_Q||_F²$ (sum convention).",
    origin="repaired",
    relation="at most",
    measure=summed_update_norm,
    predict=predict,
    explanation="Cauchy-Schwarz over the $N$ terms, then submultiplicativity.",
    proof=proof,
    requires=(),
    controls=(
        Control("factor $N$ left out", predict=upper_bound),
        Control(
            "$||W_Q||_F²$ divided by $D²$",
            predict=lambda c: len(c.demonstrations) * upper_bound(c) / c.model.token_dim**2,
        ),
    ),
    cases=with_equal_tokens,
)
