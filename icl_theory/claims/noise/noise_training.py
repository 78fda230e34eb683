"""App. C.4, training: does the noise of the implicit gradient fall while a model is trained?"""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.descent.trajectory import implicit_trajectory
from icl_theory.models.model import Model
from icl_theory.noise.covariance import gradient_noise
from icl_theory.training.ensemble import initial_weights

_SHOTS = 10


def cases(factory: CaseFactory, layers: int = 3) -> list[Case]:
    """Trained models, preceded by fresh initial weights of the same kind: L layers before training, then L after."""
    result = []
    for case in factory.trained_seeds(layers):
        config = factory.ensemble(case.layers).config
        first = initial_weights(np.random.default_rng(case.seed), config, case.model.token_dim).member(0)
        pairs = [(getattr(first, name), getattr(case.model, name)) for name in ("value", "key", "query")]
        both = Model.create(*(np.concatenate(pair).astype(np.float64) for pair in pairs))
        result.append(case.with_model(both, "before and after training"))
    return result


def traces(case: Case, after: bool, relative: bool) -> np.ndarray:
    """tr C_t of every layer before or after training; relative ones are divided by ||G_t||_F²."""
    w, half = case.model, case.layers // 2
    part = slice(half, None) if after else slice(0, half)
    model = Model(w.value[part], w.key[part], w.query[part])
    found = [gradient_noise(model, case.demonstrations, shots=_SHOTS, layer=t).trace for t in range(half)]
    if not relative:
        return np.array(found)
    gradients = implicit_trajectory(model, case.demonstrations).gradient
    return np.array(found) / (gradients**2).sum(axis=(1, 2))


def log_rise(case: Case, relative: bool = True) -> float:
    """Mean over layers of log(noise after / before training)."""
    return float(np.log(traces(case, True, relative) / traces(case, False, relative)).mean())


CLAIM = Claim(
    source="Y App. C.4 (noise and training), arXiv:2406.03768v2, on small models",
    statement="Training lowers the noise of the implicit gradient, $tr C_t / ||G_t||²$.",
    origin="reading",
    relation="at most",
    measure=log_rise,
    explanation="The paper concludes from falling errors that the noise stems from too little training, and measures "
    "no noise; relative to the gradient is our reading, the fairest to it. Geometric mean over the layers, initial "
    "and trained weights on the same demonstrations, $b = 10$ of $N = 20$. The trace $tr C_t$ itself grows a "
    "hundredfold and more, along with the gradients (a control that fails, and its reverse holds).",
    controls=(
        Control("to a tenth", predict=lambda case: -np.log(10.0)),
        Control("$tr C_t$", measure=lambda case: log_rise(case, False)),
        Control("$tr C_t$, time reversed", measure=lambda case: -log_rise(case, False), expected=Verdict.HOLDS),
    ),
    cases=cases,
    over_seeds=True,
)
