"""Figure 5a: is the error almost zero from N = d demonstrations on? For least squares yes, for linear attention no."""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import DIM
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.tasks.linear_regression import LinearRegression

_SHOTS, _SMALL, _PROMPTS = (DIM, 2 * DIM, 4 * DIM), 0.02, 64
_TASK = LinearRegression(DIM)


def optima(case: Case) -> np.ndarray:
    """Exact risk of the one-layer optimum over that of no prediction, for $N = d, 2d, 4d$ without label noise."""
    del case
    return np.array([one_layer_optimum(_TASK, shots=n)[1] / DIM for n in _SHOTS])


def least_squares(case: Case, fewer: int = 0) -> np.ndarray:
    """The same of the least-norm solution on 64 prompts, all with N = d, 2d, 4d demonstrations less `fewer`."""
    rng, found = np.random.default_rng(case.seed), []
    for n in _SHOTS:
        w = _TASK.sample_tasks(rng, _PROMPTS)
        tokens = _TASK.sample_tokens(rng, w, n - fewer)
        solved = [np.linalg.lstsq(t[:, :-1], t[:, -1], rcond=None)[0] for t in tokens]
        found.append((((np.array(solved) - w) ** 2).sum(axis=1) / DIM).mean())
    return np.array(found)


def _cases(factory: CaseFactory) -> list[Case]:
    return factory.random(1)[:2]


CLAIM = Claim(
    source="Y App. C.4 and Figure 5a, arXiv:2406.03768v2, for linear attention",
    statement=f"Without label noise the error is below {_SMALL} of that of no prediction from $N = d$ examples on.",
    origin="paper",
    relation="at most",
    measure=optima,
    predict=lambda case: _SMALL,
    explanation="The paper's figure shows a GPT-2; least squares has the threshold at $N = d$ exactly (a control that "
    "holds). A layer of linear attention takes one preconditioned gradient step and has none: its best risk is "
    "$(d + 1)/(N + d + 1)$, .55 at $N = d$ and .23 at $4d$, even if trained for that very $N$.",
    requires=("cases of its own",),
    controls=(
        Control("least squares", measure=least_squares, expected=Verdict.HOLDS),
        Control("least squares with one example less", measure=lambda case: least_squares(case, 1)),
        Control("half the error of no prediction", predict=lambda case: 0.5),
        Control(
            "the optimum is $(d + 1)/(N + d + 1)$",
            predict=lambda case: np.array([(DIM + 1) / (n + DIM + 1) for n in _SHOTS]),
            relation="equal",
            tolerance=1e-9,
            expected=Verdict.HOLDS,
        ),
    ),
    cases=_cases,
)
