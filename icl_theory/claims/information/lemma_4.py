"""Lemma 4: the variational form of mutual information; every prior gives an upper bound."""

import numpy as np
import sympy as sp

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import exact_channels as ch
from icl_theory.claims.quantities.exact_channels import divergences


def measure(case: Case) -> np.ndarray:
    """$I$ of the discrete and of the Gaussian channel, once for every prior."""
    values = ch.discrete_information(*ch.discrete(case)), ch.gaussian_information(*ch.gaussian(case))
    return np.repeat(values, ch.PRIORS)


def _data_dependent_prior(case: Case) -> float:
    """A prior that depends on H: half P_W, half P_{W|H}."""
    source, channel = ch.discrete(case)
    return ch.discrete_divergence(source, channel, 0.5 * (source @ channel + channel))


def proof() -> bool:
    """A binary channel with symbols: $E KL$ as a function of $q$ has one stationary point, the marginal, and is
    convex."""
    x, a, b, q = sp.symbols("x a b q", positive=True)
    marginal = x * a + (1 - x) * b
    # Only the cross entropy -E log q(y) depends on q.
    cross = -marginal * sp.log(q) - (1 - marginal) * sp.log(1 - q)
    roots = sp.solve(sp.diff(cross, q), q)
    curvature = marginal / q**2 + (1 - marginal) / (1 - q) ** 2
    at_most_one = len(roots) == 1 and sp.expand(roots[0] - marginal) == 0
    return at_most_one and sp.simplify(sp.diff(cross, q, 2) - curvature) == 0


CLAIM = Claim(
    source="Y Lemma 4 (variational form of mutual information), arXiv:2406.03768v2",
    statement="$I(W; H) ≤ E_H KL(P_{W|H} || Q)$ for every distribution $Q$ that does not depend on $H$.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=divergences,
    explanation="Two channels whose information is exact, made of the case's weights: softmax attention from token to "
    "token, and $W_V h$ with Gaussian noise; twelve priors each, the marginal among them, where equality is attained.",
    proof=proof,
    controls=(
        Control("priors of total mass 1.01", predict=lambda case: divergences(case, 1.01)),
        Control("a prior that depends on $H$ half the time", predict=_data_dependent_prior),
        Control("divergence off by 1 %", predict=lambda case: 0.99 * divergences(case)),
    ),
    tolerance=1e-10,
)
