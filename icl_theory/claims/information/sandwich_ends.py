"""Both ends of the sandwich on channels whose information is known."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.core.estimate import Estimate
from icl_theory.information.estimators.sandwich import mutual_information

PAIRS, REPETITIONS = 4, 300
_POWER = 2.0  # mean square of an entry of the signal, in units of the noise


def channel(case: Case) -> np.ndarray:
    """The map of w = A h + n, h ~ N(0, I), n ~ N(0, I): W_V of the first layer, scaled to a definite power."""
    value = case.model.value[0]
    return np.sqrt(_POWER * len(value)) * value / np.linalg.norm(value)


def information(case: Case) -> float:
    """½ log det(I + A Aᵀ), in nats."""
    matrix = channel(case)
    return float(0.5 * np.linalg.slogdet(np.eye(len(matrix)) + matrix @ matrix.T)[1])


@lru_cache(maxsize=128)
def sandwich_means(case: Case) -> np.ndarray:
    """Lower and upper end of every repetition with 4 pairs, shape (repetitions, 2), in nats."""
    rng, matrix = np.random.default_rng(case.seed), channel(case)
    size = len(matrix)
    means = rng.standard_normal((REPETITIONS, PAIRS, size)) @ matrix.T
    outputs = means + rng.standard_normal(means.shape)
    noise = np.broadcast_to(np.eye(size), (PAIRS, size, size))
    found = [mutual_information(w, m, noise) for w, m in zip(outputs, means, strict=True)]
    return np.array([(one.lower.value, one.upper.value) for one in found])


def mean_end(case: Case, end: int, errors: float) -> float:
    """Mean over the repetitions, moved by a number of its standard errors."""
    found = Estimate.from_samples(sandwich_means(case)[:, end])
    return found.value + errors * found.stderr


def measure(case: Case) -> np.ndarray:
    """$E lower$, raised by six standard errors, and $I$."""
    return np.array([mean_end(case, 0, 6.0), information(case)])


def predict(case: Case) -> np.ndarray:
    """$I$, and $E upper$, lowered by six standard errors."""
    return np.array([information(case), mean_end(case, 1, -6.0)])


def _one_matrix(factory: CaseFactory) -> list[Case]:
    some = (factory.profile.seeds + 1) // 2
    return [*factory.random(1)[:some], *factory.constructed(1), *factory.trained(1)[:some]]


CLAIM = Claim(
    source="Poole et al. 2019, arXiv:1905.06922v1, Section 2 (leave-one-out upper bound, InfoNCE with a known density)",
    statement="$E lower ≤ I ≤ E upper$ for the two ends from $K$ pairs of a channel with a known density.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="Gaussian channels made of $W_V$, random, constructed and trained, of 1 to 6 dimensions; $K = 4$ "
    "pairs, where the ends are far apart, 300 times. Means are moved six standard errors against the statement, so "
    "that holding is not luck. Every bound of this ledger takes the upper end.",
    controls=(
        Control("own pair left in the upper mixture", predict=lambda case: np.array([np.inf, mean_end(case, 0, 6.0)])),
        Control(
            "own pair left out of the lower mixture", measure=lambda case: np.array([mean_end(case, 1, -6.0), 0.0])
        ),
        Control("information tripled", measure=lambda case: np.array([0.0, 3 * information(case)])),
    ),
    cases=_one_matrix,
)
