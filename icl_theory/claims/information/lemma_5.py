"""Lemma 5: the best prior is the marginal, and any other one costs exactly its divergence from it."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import exact_channels as ch
from icl_theory.claims.quantities.exact_channels import divergences


def _costs(case: Case) -> np.ndarray:
    """KL(P_W || Q) for every prior of both channels."""
    source, channel = ch.discrete(case)
    marginal = source @ channel
    discrete = [float(marginal @ np.log(marginal / prior)) for prior in ch.discrete_priors(case)]
    signal, noise = ch.gaussian(case)
    # A channel without signal and with the output's covariance as noise: its divergence is KL(P_W || Q).
    gaussian = [ch.gaussian_divergence(0 * signal, signal + noise, *prior) for prior in ch.gaussian_priors(case)]
    return np.array([*discrete, *gaussian])


def predict(case: Case, cost: float = 1.0) -> np.ndarray:
    """$I(W; H) + KL(P_W || Q)$."""
    values = ch.discrete_information(*ch.discrete(case)), ch.gaussian_information(*ch.gaussian(case))
    return np.repeat(values, ch.PRIORS) + cost * _costs(case)


def _uniform_weights(case: Case) -> np.ndarray:
    """The marginal taken with equal weights of the inputs, not with theirs."""
    source, channel = ch.discrete(case)
    value = ch.discrete_information(np.full_like(source, 1 / len(source)), channel)
    return np.append(np.full(ch.PRIORS, value), predict(case)[ch.PRIORS :]) + np.append(
        _costs(case)[: ch.PRIORS], np.zeros(ch.PRIORS)
    )


def proof() -> bool:
    """A binary channel with symbols: $E KL(P_{W|H} || Q) - I - KL(P_W || Q)$ is zero identically."""
    x, a, b, q = sp.symbols("x a b q", positive=True)
    marginal = x * a + (1 - x) * b

    def divergence(p: sp.Expr, r: sp.Expr) -> sp.Expr:
        return p * (sp.log(p) - sp.log(r)) + (1 - p) * (sp.log(1 - p) - sp.log(1 - r))

    left = x * divergence(a, q) + (1 - x) * divergence(b, q)
    information = x * divergence(a, marginal) + (1 - x) * divergence(b, marginal)
    return sp.simplify(sp.expand(left - information - divergence(marginal, q))) == 0


CLAIM = Claim(
    source="Y Lemma 5 (optimum at the marginal), arXiv:2406.03768v2",
    statement="$E_H KL(P_{W|H} || Q) = I(W; H) + KL(P_W || Q)$, so $Q = P_W$ is the best prior and attains $I$.",
    origin="paper",
    relation="equal",
    measure=divergences,
    predict=predict,
    explanation="The channels and priors of lemma_4; the excess of every prior is compared with its divergence from "
    "the marginal.",
    proof=proof,
    controls=(
        Control("divergence of the priors left out", predict=lambda case: predict(case, 0.0)),
        Control("divergence of the priors off by 1 %", predict=lambda case: predict(case, 1.01)),
        Control("inputs weighted equally", predict=_uniform_weights),
    ),
    tolerance=1e-10,
)
