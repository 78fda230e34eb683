"""Lemma 5 as Lemma 3 uses it, given W_{t-1}: the best prior of a step may depend on the step before, and should."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import exact_channels as ch

PRIORS, STATES = 8, 5


@lru_cache(maxsize=64)
def steps(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """p(h, w_1), shape (N, 5), and p(w_2 | h, w_1), shape (N, 5, N): two steps of softmax attention.

    The first step sees demonstration h in five bins; the second attends from h with scores that the first one tilts.
    """
    source, channel = ch.discrete(case)
    rng = np.random.default_rng([case.seed, 5])
    first = source[:, None] * rng.dirichlet(np.ones(STATES), size=len(source))
    tilted = channel[:, None, :] * np.exp(rng.standard_normal((1, STATES, channel.shape[1])))
    return first, tilted / tilted.sum(axis=2, keepdims=True)


def conditional_marginal(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """p(w_2 | w_1), shape (5, N)."""
    joint = (first[:, :, None] * second).sum(axis=0)
    return joint / joint.sum(axis=1, keepdims=True)


def priors(case: Case) -> list[np.ndarray]:
    """q(w_2 | w_1): the conditional marginal, and random ones from near it to far from it."""
    marginal = conditional_marginal(*steps(case))
    rng = np.random.default_rng([case.seed, 6])
    return [
        (1 - share) * marginal + share * rng.dirichlet(np.ones(marginal.shape[1]), size=STATES)
        for share in np.linspace(0.0, 1.0, PRIORS)
    ]


def divergences(case: Case) -> np.ndarray:
    """$E KL(P_{W|H, V} || Q_V)$ for every prior, $V$ the step before $W$."""
    first, second = steps(case)
    return np.array([(first[:, :, None] * second * np.log(second / prior)).sum() for prior in priors(case)])


def predict(case: Case, *, given: bool = True) -> np.ndarray:
    """$I(W; H | V) + E KL(P_{W|V} || Q_V)$, the information as a sum of entropies."""
    first, second = steps(case)
    joint = first[:, :, None] * second
    marginal = conditional_marginal(first, second)
    shares = first.sum(axis=0)
    noise = -(joint * np.log(second)).sum()
    if given:
        nats = -(shares[:, None] * marginal * np.log(marginal)).sum() - noise
    else:
        alone = joint.sum(axis=(0, 1))
        nats = -(alone * np.log(alone)).sum() - noise
    costs = [(shares[:, None] * marginal * np.log(marginal / prior)).sum() for prior in priors(case)]
    return nats + np.array(costs)


def _blind(case: Case) -> np.ndarray:
    """The same with priors that do not see the step before: what is measured is then above the claim."""
    first, second = steps(case)
    blind = [np.broadcast_to(first.sum(axis=0) @ prior, prior.shape) for prior in priors(case)]
    return np.array([(first[:, :, None] * second * np.log(second / prior)).sum() for prior in blind])


CLAIM = Claim(
    source="Y Lemma 5 as used for every $t$ in App. A.5, arXiv:2406.03768v2",
    statement="Given $V = W_{t-1}$, $E KL(P_{W|H, V} || Q_V) = I(W; H | V) + E KL(P_{W|V} || Q_V)$ for $W = W_t$: the "
    "best prior of step $t$ is the conditional marginal.",
    origin="paper",
    relation="equal",
    measure=divergences,
    predict=predict,
    explanation="Two steps of a discrete channel made of the case's softmax attention, summed out exactly, with eight "
    "priors that depend on the step before. Lemma 5 alone is the case $t = 1$ (lemma_5).",
    requires=(),
    controls=(
        Control(
            "$I(W_t; H, W_{t-1})$ in place of the conditional one", predict=lambda case: predict(case, given=False)
        ),
        Control("priors that do not see $W_{t-1}$", measure=_blind),
        Control("information off by 1 %", predict=lambda case: 1.01 * predict(case)),
    ),
    tolerance=1e-10,
)
