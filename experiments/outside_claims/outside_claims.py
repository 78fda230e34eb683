"""Claims from outside the paper, in a package of their own: ||W - W_r||_F² = Σ_{i>r} σ_i² (Eckart and Young 1936).

`python -m pip install experiments/outside_claims`, and `icl-theory verify` examines them after its own.
"""

import numpy as np

from icl_theory import truncate
from icl_theory.claims import Case, Claim, Control


def measure(case: Case) -> np.ndarray:
    """||W - W_r||_F² of the first layer's W_V at every rank r below full."""
    matrix = case.model.value[0]
    return np.array([((matrix - truncate(matrix, rank).matrix) ** 2).sum() for rank in range(len(matrix))])


def predict(case: Case, skipped: int = 0) -> np.ndarray:
    """$Σ_{i>r} σ_i²$ from the eigenvalues of $WᵀW$, which no decomposition of $W$ enters."""
    matrix = case.model.value[0]
    squares = np.linalg.eigvalsh(matrix.T @ matrix)[::-1]
    return np.array([squares[rank + skipped :].sum() for rank in range(len(matrix))])


CLAIMS = [
    Claim(
        label="eckart_young",
        source="Eckart and Young 1936",
        statement="$||W - W_r||_F² = Σ_{i>r} σ_i²$ for the best rank-$r$ approximation $W_r$.",
        origin="new",
        relation="equal",
        measure=measure,
        predict=predict,
        explanation="What truncation of $W_V$ leaves out, at every rank, against the eigenvalues of $WᵀW$.",
        controls=(
            Control("largest of the singular values left out", predict=lambda case: predict(case, skipped=1)),
            Control("off by 1 %", predict=lambda case: 1.01 * predict(case)),
        ),
        cases=lambda factory: factory.random(1),
    )
]
