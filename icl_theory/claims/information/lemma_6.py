"""Eq. 17 and Lemma 6: isotropic priors bound the information of one noisy step, the best of them most tightly."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.noise.covariance import sampling_factor

_SETS, _SIZE, _SHOTS = 8, 10, 4  # demonstration sets, their size N, the shots b
_VARIANCES, _REFERENCES = np.exp(np.linspace(-2, 2, 9)), (-1.0, 0.0, 0.5)


def channel(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Means and variances of W | H_s for eight equally likely sets H_s: one number r of the first layer's update.

    r = (W_V h)_y (W_Kᵀ W_Q)ᵀh · u for a random u, averaged over b of the set's N demonstrations and then taken as
    Gaussian, in units of its standard deviation over all demonstrations. In one dimension everything is exact.
    """
    w, rng = case.model, np.random.default_rng(case.seed)
    probe = rng.standard_normal(w.token_dim)
    numbers = (case.demonstrations @ w.value[0, -1]) * (case.demonstrations @ (w.key[0].T @ w.query[0] @ probe))
    numbers = numbers / numbers.std()
    sets = np.stack([rng.choice(numbers, _SIZE, replace=False) for _ in range(_SETS)])
    return sets.mean(axis=1), sampling_factor(_SIZE, _SHOTS) * sets.var(axis=1)


def information(means: np.ndarray, variances: np.ndarray) -> float:
    """I(W; H_s) of the equal mixture of Gaussians, by the trapezoidal rule, which is spectrally accurate here."""
    deviations = np.sqrt(variances)
    step = deviations.min() / 8
    grid = np.arange((means - 12 * deviations).min(), (means + 12 * deviations).max(), step)
    density = np.exp(-0.5 * ((grid[:, None] - means) / deviations) ** 2) / (np.sqrt(2 * np.pi) * deviations)
    mixture = density.mean(axis=1)
    inside = mixture > 0
    entropy = -step * (mixture[inside] * np.log(mixture[inside])).sum()
    return float(entropy - 0.5 * np.log(2 * np.pi * np.e * variances).mean())


def first_line(means: np.ndarray, variances: np.ndarray, reference: float, prior: float) -> float:
    """½ E[((G - g̃)² + C)/σ² + log σ² - log C - 1]."""
    size = ((means - reference) ** 2 + variances).mean()
    return float(0.5 * (size / prior + np.log(prior) - np.log(variances).mean() - 1))


def second_line(means: np.ndarray, variances: np.ndarray, reference: float) -> float:
    """½ [log E((G - g̃)² + C) - E log C], the first line at its best σ²."""
    return float(0.5 * (np.log(((means - reference) ** 2 + variances).mean()) - np.log(variances).mean()))


def measure(case: Case) -> float:
    """$I(W; H_s)$, exact."""
    return information(*channel(case))


def predict(case: Case) -> np.ndarray:
    """Both lines, for references $g̃$ from $E G$ to far from it and variances $σ²$ around the best one."""
    means, variances = channel(case)
    values = []
    for offset in _REFERENCES:
        reference = means.mean() + offset
        best = ((means - reference) ** 2 + variances).mean()
        values += [first_line(means, variances, reference, best * factor) for factor in _VARIANCES]
        values.append(second_line(means, variances, reference))
    return np.array(values)


def _without_variance(case: Case) -> float:
    means, variances = channel(case)
    return float(0.5 * (np.log(means.var()) - np.log(variances).mean()))


def _data_dependent_prior(case: Case) -> float:
    """g̃ = G_t: a prior whose mean depends on H_s, its variance the best fixed one."""
    _, variances = channel(case)
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
    controls=(
        Control("$tr C$ left out", predict=_without_variance),
        Control("a prior whose mean depends on $H_s$", predict=_data_dependent_prior),
        Control("half of the bound", predict=lambda case: 0.5 * predict(case)),
    ),
    tolerance=1e-9,
)
