"""How Gaussian the noise of a subset is: its kurtosis in closed form, for every b and N."""

from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.subset_kurtosis import (
    enumerated_kurtosis,
    exact_kurtosis,
    gaussian_kurtosis,
    kurtosis_with_replacement,
)

CLAIM = Claim(
    source="new; finite-population fourth moments, for Y Assumption 1, arXiv:2406.03768v2",
    statement="Mardia's kurtosis of the mean of $b$ of $N$ gradients is "
    "$[p_1 Q + p_2 (g - 7Q) + p_3 (12Q - 2g) + p_4 (g - 6Q)] / (b⁴ φ²)$: "
    "its excess over $d(d+2)$ falls like $1/b$ for $b$ far below $N$, and is the same for $b$ and $N-b$.",
    origin="new",
    relation="equal",
    measure=enumerated_kurtosis,
    predict=exact_kurtosis,
    explanation="The readout's noise at the first layer: all subsets of 1, 2, 3 and 17 of 20 demonstrations are "
    "enumerated. $Q = Σ |x_i|⁴$ of the whitened gradients, $g = N²d(d+2)$, $p_k$ the probability that $k$ given "
    "demonstrations are shown, $φ = (N-b)/(b(N-1))$. Near $b = N$ the noise is as far from Gaussian as near $b = 1$.",
    requires=("20 demonstrations",),
    controls=(
        Control("Gaussian noise: $d(d+2)$", predict=gaussian_kurtosis),
        Control("independent draws: excess exactly like $1/b$", predict=kurtosis_with_replacement),
        Control("one shot more", predict=lambda case: exact_kurtosis(case, 1)),
    ),
    tolerance=1e-9,
)
