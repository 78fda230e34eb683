"""Dilution: the gap of Theorem 2 counts N demonstrations of which N - b are never shown."""

from functools import lru_cache

import numpy as np

from icl_theory.claims.engine.cases import CLIP, Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.quantities import prompt_errors
from icl_theory.core.estimate import Estimate

_COUNT, _SHOWN, _FRESH = 40, 10, 64


@lru_cache(maxsize=128)
def losses(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean clipped loss on demonstrations shown, not shown, and fresh, of every run, after a pass of 10 of 40."""
    rng = np.random.default_rng(case.seed)
    runs = 4 * case.samples
    vectors = np.broadcast_to(case.task_vector, (runs, case.task.dim))
    tokens = case.task.sample_tokens(rng, vectors, _COUNT + _FRESH)
    shown = tokens[:, :_SHOWN]  # tokens are exchangeable: the first ten are a random subset
    p = prompt_errors.implied(case.model, np.swapaxes(shown, 1, 2) @ shown / _SHOWN)
    predictions = np.einsum("kj,knj->kn", p, tokens[..., :-1])
    clipped = np.minimum((predictions - tokens[..., -1]) ** 2, CLIP)
    parts = (slice(0, _SHOWN), slice(_SHOWN, _COUNT), slice(_COUNT, None))
    seen, hidden, fresh = (clipped[:, part].mean(axis=1) for part in parts)
    return seen, hidden, fresh


def gap(case: Case) -> Estimate:
    """$E[L_μ - L_{H_s}]$ over all N demonstrations less (b/N) of the gap over those shown, run by run."""
    return difference(case, _SHOWN / _COUNT)


def difference(case: Case, share: float) -> Estimate:
    """The gap over N demonstrations less a share of the gap over the b shown."""
    seen, hidden, fresh = losses(case)
    every = (_SHOWN * seen + (_COUNT - _SHOWN) * hidden) / _COUNT
    return Estimate.from_samples((fresh - every) - share * (fresh - seen), unit="loss")


CLAIM = Claim(
    source="new; on the gap in Y Theorem 2 and Assumption 1, arXiv:2406.03768v2",
    statement="In a real pass that shows $b$ of $N$ demonstrations $gap_N = (b/N) gap_b$ exactly: the gap that Theorem "
    "2 bounds is diluted by $N - b$ tokens that the output never saw.",
    origin="new",
    relation="equal",
    measure=gap,
    explanation="Ten of forty demonstrations through the model, the clipped squared error on those shown, those not "
    "shown and fresh ones; the difference is taken run by run, and its mean is 0 since what is not shown is as good as "
    "fresh. Clipped, the gap itself is tens of times the error bar.",
    controls=(
        Control("no dilution", measure=lambda case: difference(case, 1.0)),
        Control("no gap at all", measure=lambda case: difference(case, 0.0)),
        Control("the share of one demonstration less", measure=lambda case: difference(case, (_SHOWN - 4) / _COUNT)),
    ),
    cases=lambda factory: [*factory.constructed(1), *factory.trained(1), *factory.trained(factory.depth)],
)
