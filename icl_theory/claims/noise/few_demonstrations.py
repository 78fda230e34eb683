"""With few demonstrations C_t is singular on its support too: what the repaired Theorem 2 has N - 1 ≥ d_t for."""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.noise.covariance import layer_factors
from icl_theory.noise.support import support_dimension
from icl_theory.noise.support_points import support_points, token_span

_MOST = 10  # demonstrations in a set


def _rank(points: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(points, rtol=1e-10))


def _centred(case: Case, count: int, sets: int) -> np.ndarray:
    """Coordinates of the gradients on V_1, shape (sets, count, d_S), each set minus its mean."""
    rng = np.random.default_rng(case.seed)
    tokens = case.task.sample_tokens(rng, case.task_vector[None], sets * count)[0]
    eye, factors = np.eye(tokens.shape[1]), layer_factors(case.model, 0, np.zeros((1, 1)))
    coordinates, features = support_points(case.model, 0, eye, token_span(tokens), factors)[:2]
    # An invertible map keeps every rank, and what it maps does not suffer from ill-conditioned weights.
    points = (coordinates if features is None else features).reshape(sets, count, -1)
    return points - points.mean(axis=1, keepdims=True)


def shown(case: Case) -> tuple[int, int]:
    """N = min(10, d_S) and d_S."""
    dimension = support_dimension(*layer_factors(case.model, 0, np.zeros((1, 1))))
    return min(_MOST, dimension), dimension


def measure(case: Case, more: int = 0) -> np.ndarray:
    """$rank C_1$ with $N$ demonstrations, and the rank of the sum of $C_1$ over two such sets."""
    sets = _centred(case, shown(case)[0] + more, 2)
    return np.array([_rank(sets[0]), _rank(np.concatenate(sets))], dtype=np.float64)


def predict(case: Case) -> np.ndarray:
    """$N - 1 < d_S$, and $min(2 (N - 1), d_S)$: more than $N - 1$, so that the null spaces of the two sets differ."""
    count, dimension = shown(case)
    return np.array([count - 1, min(2 * (count - 1), dimension)], dtype=np.float64)


CLAIM = Claim(
    source="new; on the hypothesis of Y Theorem 2, arXiv:2406.03768v2, as repaired",
    statement="With $N - 1 < d_S$ demonstrations $C_t$ is singular on its support $V_t$, $rank C_t = N - 1$, and its "
    "null space there depends on the sample.",
    origin="new",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="$N = min(10, d_S)$. No Gaussian prior that is fixed before the sample is seen has a finite divergence "
    "from such noise, so every rung with a density on $V_t$ is $+∞$ unless a noise floor is added; the ladder says so "
    "instead of returning a number.",
    requires=("linear regression", "token covariance of full rank"),
    controls=(
        Control("two demonstrations more", measure=lambda case: measure(case, 2)),
        Control("rank $d_S$", predict=lambda case: np.full(2, float(shown(case)[1]))),
        Control("one null space for both", predict=lambda case: np.full(2, float(shown(case)[0] - 1))),
    ),
)
