"""Eq. 17 and Lemma 6: isotropic priors bound the information of one noisy step, the best of them most tightly."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities.noise_channels import channel_information, first_line, noise_channel, second_line

_VARIANCES, _REFERENCES = np.exp(np.linspace(-2, 2, 9)), (-1.0, 0.0, 0.5)


def measure(case: Case) -> float:
    """$I(W; H_s)$, exact."""
    return channel_information(*noise_channel(case))


def predict(case: Case) -> np.ndarray:
    """Both lines, for references $g̃$ from $E G$ to far from it and variances $σ²$ around the best one."""
    means, variances = noise_channel(case)
    values = []
    for offset in _REFERENCES:
        reference = means.mean() + offset
        best = ((means - reference) ** 2 + variances).mean()
        values += [first_line(means, variances, reference, best * factor) for factor in _VARIANCES]
        values.append(second_line(means, variances, reference))
    return np.array(values)


def _without_variance(case: Case) -> float:
    means, variances = noise_channel(case)
    return float(0.5 * (np.log(means.var()) - np.log(variances).mean()))


def _data_dependent_prior(case: Case) -> float:
    """g̃ = G_t: a prior whose mean depends on H_s, its variance the best fixed one."""
    _, variances = noise_channel(case)
    return float(0.5 * (np.log(variances.mean()) - np.log(variances).mean()))


def proof() -> bool:
    """$KL(N(g, c) || N(r, s))$ from the moments of the log density ratio, then its best $s$ for a mixture of sets."""
    x, g, r = sp.symbols("x g r", real=True)
    c, s = sp.symbols("c s", positive=True)
    ratio = ((x - r) ** 2 / s + sp.log(s) - (x - g) ** 2 / c - sp.log(c)) / 2
    moments = sp.Poly(sp.expand(ratio), x).all_coeffs()[::-1]
    divergence = moments[0] + moments[1] * g + moments[2] * (g**2 + c)  # E x = g, E x² = g² + c
    if sp.simplify(divergence - (((g - r) ** 2 + c) / s + sp.log(s) - sp.log(c) - 1) / 2) != 0:
        return False
    size, volume = sp.symbols("E v", positive=True)  # E((G - g̃)² + C) and E log C
    line = (size / s + sp.log(s) - volume - 1) / 2
    (best,) = sp.solve(sp.diff(line, s), s)
    return best == size and sp.simplify(line.subs(s, best) - (sp.log(size) - volume) / 2) == 0


CLAIM = Claim(
    source="Y App. A.5, Eq. 17, and Lemma 6, first line, arXiv:2406.03768v2",
    statement="$I(G_t + C_t^{1/2} n; H_s | W_{t-1}) ≤ ½ E[(||G_t - g̃||² + tr C_t)/σ² + d log σ² - log det C_t - d]$ "
    "for all $g̃$, $σ²$; at the best $σ²$ the first term becomes $d log(E(||G_t - g̃||² + tr C_t)/d)$.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="One direction of the first layer's update, given one of eight demonstration sets, is a mixture of "
    "Gaussians whose information is exact by quadrature; 30 isotropic priors must lie above it. The divergence and its "
    "optimum are derived symbolically. The expectation over $H_s$ stands inside the logarithm, as in the first line; "
    "the second line of the lemma takes it out: see lemma_6_second_line.",
    proof=proof,
    requires=(),
    controls=(
        Control("$tr C$ left out", predict=_without_variance),
        Control("a prior whose mean depends on $H_s$", predict=_data_dependent_prior),
        Control("half of the bound", predict=lambda case: 0.5 * predict(case)),
    ),
    tolerance=1e-9,
)
