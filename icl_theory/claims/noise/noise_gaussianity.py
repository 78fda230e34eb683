"""Assumption 1's Gaussian noise: what showing b of N demonstrations really gives."""

from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.subset_kurtosis import (
    enumerated_kurtosis,
    exact_kurtosis,
    gaussian_kurtosis,
    kurtosis_with_replacement,
)

CLAIM = Claim(
    source="Y Assumption 1, arXiv:2406.03768v2",
    statement="Showing $b$ of the $N$ demonstrations adds Gaussian noise to the implicit gradient, whose kurtosis "
    "$E(zᵀ C⁻¹ z)²$ would then be $d(d+2)$.",
    origin="paper",
    relation="equal",
    measure=enumerated_kurtosis,
    predict=gaussian_kurtosis,
    explanation="All subsets of 1, 2, 3 and 17 of 20 demonstrations are enumerated, in the coordinates of the readout. "
    "The noise has finitely many values and its kurtosis is not a Gaussian's; how far off it is says the claim "
    "noise_kurtosis, and `normality_audit` tests samples of it against $b$. Information and bounds are those of "
    "the Gaussian model.",
    requires=("20 demonstrations",),
    controls=(
        Control("the exact law of subsets", predict=exact_kurtosis, expected=Verdict.HOLDS),
        Control("independent draws: Gaussian up to an excess of $1/b$", predict=kurtosis_with_replacement),
        Control("the exact law with one shot more", predict=lambda case: exact_kurtosis(case, 1)),
    ),
    tolerance=1e-9,
)
