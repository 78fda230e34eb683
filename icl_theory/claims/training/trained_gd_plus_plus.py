"""GD++: trained layers do not only take gradient steps, they also move the inputs."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.descent.agreement import gradient_descent_agreement

_PROMPTS = 256  # to fit, and as many to score


@lru_cache(maxsize=32)
def ratio(case: Case) -> float:
    """Prediction difference from fitted GD++ over that from fitted plain gradient descent, on unseen prompts."""
    difference = [
        gradient_descent_agreement(
            case.model, case.task, shots=case.training_shots, prompts=_PROMPTS, key=case.seed, scheme=scheme
        ).final.prediction_difference
        for scheme in ("gd++", "gd")
    ]
    return difference[0].value / difference[1].value


def measure(case: Case) -> float:
    """log of that ratio: rare large errors rule a fit now and then, and one such seed must not rule the mean."""
    return float(np.log(ratio(case)))


CLAIM = Claim(
    source="von Oswald et al. 2023, GD++, arXiv:2212.07677v2",
    statement="Trained three-layer models are at least twice as close to three steps of GD++ as to three plain steps.",
    origin="new",
    relation="at most",
    measure=measure,
    predict=lambda case: np.log(0.5),
    explanation="Both schemes are fitted on one set of prompts ($η$, for GD++ also the input step $γ$), scored on "
    "another by the root mean square difference of predictions.",
    controls=(
        Control("the two exchanged", measure=lambda case: -measure(case)),
        Control("a hundred times as close", predict=lambda case: np.log(0.01)),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
