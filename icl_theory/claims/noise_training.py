"""App. C.4, training: does the noise of the implicit gradient fall while a model is trained?"""

import numpy as np

from icl_theory.claims.base import Claim, Control, Verdict
from icl_theory.claims.cases import Case, Workshop
from icl_theory.ensemble import initial_weights
from icl_theory.noise import gradient_noise
from icl_theory.weights import AttentionWeights

_SHOTS = 10


def cases(workshop: Workshop) -> list[Case]:
    """Trained models, preceded by fresh initial weights of the same kind: L layers before training, then L after."""
    result = []
    for case in [*workshop.trained_cases(1), *workshop.trained_cases(3)]:
        config = workshop.ensemble(case.layers).config
        first = initial_weights(np.random.default_rng(case.seed), config, case.weights.dimension).member(0)
        pairs = [(getattr(first, name), getattr(case.weights, name)) for name in ("value", "key", "query")]
        both = AttentionWeights.create(*(np.concatenate(pair).astype(np.float64) for pair in pairs))
        result.append(case.with_weights(both, "before and after training"))
    return result


def traces(case: Case, part: slice) -> np.ndarray:
    """tr C_t of every layer of one of the two models."""
    w = case.weights
    model = AttentionWeights(w.value[part], w.key[part], w.query[part])
    return np.array([gradient_noise(model, case.demonstrations, _SHOTS, layer=t).trace for t in range(model.layers)])


def before(case: Case) -> np.ndarray:
    """tr C_t with the initial weights."""
    return traces(case, slice(0, case.layers // 2))


def after(case: Case) -> np.ndarray:
    """tr C_t with the trained weights."""
    return traces(case, slice(case.layers // 2, None))


CLAIM = Claim(
    label="noise_training",
    source="Y App. C.4 (noise and training), arXiv:2406.03768v2, read as a statement on tr C_t",
    statement="Training lowers the trace tr C_t of the implicit gradient's noise in every layer.",
    printed="new",
    relation="at most",
    measure=after,
    predict=before,
    explanation="Initial and trained weights on the same demonstrations, b = 10 of N = 20. The noise is a covariance "
    "of gradients that grow from small initial weights, so it grows with them.",
    controls=(
        Control("time reversed", {"measure": before, "predict": after}, Verdict.HOLDS),
        Control(
            "time reversed, by a factor of a million", {"measure": before, "predict": lambda case: 1e-6 * after(case)}
        ),
    ),
    cases=cases,
)
