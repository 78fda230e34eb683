"""Figure 5a, after Garg et al.: a trained transformer predicts as well as least squares on its demonstrations."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate
from icl_theory.descent.implied_weights import quadratic_loss

_PROMPTS = 4096


@lru_cache(maxsize=128)
def _errors(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Squared errors of the model and of w_ls = S_xx^{-1} S_xy on common prompts, the query integrated out."""
    stack, w = prompt_errors.moments(case, case.training_shots, _PROMPTS)
    solution = np.linalg.solve(stack[:, :-1, :-1], stack[:, :-1, -1:])[..., 0]
    reference = quadratic_loss(solution, w, case.task.covariance)
    return prompt_errors.errors(case, case.model, case.training_shots, _PROMPTS), reference


def risk_difference(case: Case, factor: float = 1.0) -> Estimate:
    """Mean of (squared error of the model - factor times that of least squares)."""
    model, reference = _errors(case)
    return prompt_errors.mean(model - factor * reference)


CLAIM = Claim(
    source="Y Section 3.3 and App. C.4 (Figure 5a), arXiv:2406.03768v2, after Garg et al. 2022, arXiv:2208.01066v3",
    statement="At the training length the risk of trained three-layer models is at most that of least squares.",
    origin="paper",
    relation="at most",
    measure=risk_difference,
    explanation="The paper says comparable, for any number of examples, of a GPT-2; here it is linear attention, at "
    "one number only. $d_x = 5$, 20 demonstrations with label noise 0.5, on 4096 common prompts. Least squares is not "
    "the best predictor here: the prior and the noise are known to training, not to it.",
    controls=(
        Control("one layer", cases=lambda factory: factory.trained_seeds(1)),
        Control("90 % of least squares", measure=lambda case: risk_difference(case, 0.9)),
    ),
    cases=lambda factory: factory.trained_seeds(factory.depth),
    over_seeds=True,
)
