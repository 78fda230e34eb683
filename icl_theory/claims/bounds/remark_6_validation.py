"""Remark 6: does a validation set evaluate the empirical risk? It evaluates the population risk."""

from functools import lru_cache
from itertools import pairwise

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import CLIP, Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate

_SHOTS, _VALIDATION = 10, 200
"""Demonstrations, and tokens of the validation set; the paper uses 200 examples where it has them."""


@lru_cache(maxsize=128)
def losses(case: Case) -> np.ndarray:
    """Mean clipped loss on the demonstrations, on a validation set and on a test set of every run, shape (3, runs)."""
    rng = np.random.default_rng([case.seed, 4])
    vectors = np.broadcast_to(case.task_vector, (2 * case.samples, case.task.dim))
    tokens = case.task.sample_tokens(rng, vectors, _SHOTS + 2 * _VALIDATION)
    shown = tokens[:, :_SHOTS]
    p = prompt_errors.implied(case.model, np.swapaxes(shown, 1, 2) @ shown / _SHOTS)
    clipped = np.minimum((np.einsum("kj,knj->kn", p, tokens[..., :-1]) - tokens[..., -1]) ** 2, CLIP)
    ends = (0, _SHOTS, _SHOTS + _VALIDATION, _SHOTS + 2 * _VALIDATION)
    return np.array([clipped[:, a:b].mean(axis=1) for a, b in pairwise(ends)])


def difference(case: Case, reference: int = 0) -> Estimate:
    """Mean loss on the validation set less that on the demonstrations (0) or on a test set (2)."""
    found = losses(case)
    return Estimate.from_samples(found[1] - found[reference], unit="loss")


def _tested(case: Case) -> Estimate:
    """The same difference, taken on the test set."""
    found = losses(case)
    return Estimate.from_samples(found[2] - found[0], unit="loss")


def _cases(factory: CaseFactory) -> list[Case]:
    return [*factory.constructed(1), *factory.trained(1), *factory.trained(factory.depth)]


CLAIM = Claim(
    source="Y Remark 6 (the validation set evaluates the empirical risk), arXiv:2406.03768v2",
    statement="$E$ of the loss on a validation set is the empirical risk $E L_{H_s}(W)$.",
    origin="paper",
    relation="equal",
    measure=difference,
    explanation="Ten demonstrations, 200 other tokens for validation and 200 for a test, clipped squared error. What "
    "validation evaluates is $L_μ$ (a control that holds); its difference from $L_{H_s}$ is the generalization gap "
    "itself, the very thing a bound is about.",
    controls=(
        Control("the population risk, by a test set", measure=lambda case: difference(case, 2), expected=Verdict.HOLDS),
        Control("the loss on the test set and the demonstrations", measure=_tested),
        Control(
            "the same, off by 2 % of the loss",
            measure=lambda case: Estimate.from_samples(1.02 * losses(case)[1] - losses(case)[2], unit="loss"),
        ),
    ),
    cases=_cases,
)
