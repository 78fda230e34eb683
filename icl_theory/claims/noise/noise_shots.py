"""App. C.4, shots: the noise of the implicit gradient falls at least like 1/b with the b demonstrations shown."""

from itertools import combinations

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.noise.covariance import gradient_noise

_TOKENS = 6


def measure(case: Case) -> np.ndarray:
    """$tr C$ for $b = 1, ..., 6$ of 6 demonstrations in the last layer's weights, over every subset."""
    w, tokens = case.model, case.demonstrations[:_TOKENS]
    key_query = w.key[-1].T @ w.query[-1]
    gradients = np.stack([np.outer(w.value[-1] @ h, h) @ key_query for h in tokens]).reshape(_TOKENS, -1)
    centred, traces = gradients - gradients.mean(axis=0), []
    for shots in range(1, _TOKENS + 1):
        means = np.stack([centred[list(chosen)].mean(axis=0) for chosen in combinations(range(_TOKENS), shots)])
        traces.append((means**2).sum() / len(means))
    return np.array(traces)


def predict(case: Case, power: float = 1.0) -> np.ndarray:
    """$tr C(1) / b$, the trace for one demonstration from the factored form."""
    w = case.model
    last = w.replace(value=w.value[-1:], key=w.key[-1:], query=w.query[-1:])
    one = gradient_noise(last, case.demonstrations[:_TOKENS], shots=1).trace
    return one / np.arange(1.0, _TOKENS + 1) ** power


CLAIM = Claim(
    source="Y App. C.4 (noise and shots) and Section 3.3 ($C_t$), arXiv:2406.03768v2",
    statement="$tr C_t(b) ≤ tr C_t(1) / b$: the noise falls with the number of demonstrations shown.",
    origin="paper",
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="App. C.4 says that few shots make the implicit gradient noisy; the rate $1/b$ is that of $C_t$ as "
    "Section 3.3 defines it. It is an identity of sampling, exact for all weights, so no population of trained "
    "models is required. All subsets of 6 demonstrations of every size are enumerated, through the weights of the last "
    "layer; at $b = N$ nothing is left.",
    requires=(),
    controls=(
        Control("like $1/b²$", predict=lambda case: predict(case, 2.0)),
        Control("one shot free", measure=lambda case: measure(case)[:-1], predict=lambda case: predict(case)[1:]),
    ),
)
