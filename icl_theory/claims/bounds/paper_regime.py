"""Y's own regime: one head of width 4096 and prompts of a few hundred tokens, where the repaired bound is infinite."""

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict

DIMENSION, TOKENS = 4096, 500
"""D of GPT-J-6B and Llama-2-7B, and demonstrations' tokens in a prompt; ten examples of a sentence have fewer."""
RATES = (0.0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99)


def support(rank_left: int, rank_right: int, dimension: int = DIMENSION) -> int:
    """$d_S = rank(A) rank(B) - k(k-1)/2$, $k = max(0, rank A + rank B - D)$ in general position."""
    overlap = max(0, rank_left + rank_right - dimension)
    return rank_left * rank_right - overlap * (overlap - 1) // 2


def dimensions(rates: tuple[float, ...] = RATES, dimension: int = DIMENSION) -> np.ndarray:
    """d_S of one clipped matrix, and of a whole attention clipped, at every rate, shape (2, rates)."""
    ranks = [round(dimension * (1 - rate)) for rate in rates]
    single = [support(rank, dimension, dimension) for rank in ranks]
    return np.array([single, [support(rank, rank, dimension) for rank in ranks]])


def _counted(case: Case) -> float:
    """The rank of the map X → A X B on symmetric X, by brute force at D = 6 for every pair of ranks, minus d_S."""
    size, rng = 6, np.random.default_rng(case.seed)
    units = [np.outer(a, b) + np.outer(b, a) for i, a in enumerate(np.eye(size)) for b in np.eye(size)[: i + 1]]
    worst = 0
    for left in range(1, size + 1):
        for right in range(1, size + 1):
            a = rng.standard_normal((size, left)) @ rng.standard_normal((left, size))
            b = rng.standard_normal((size, right)) @ rng.standard_normal((right, size))
            images = np.array([(a @ unit @ b).ravel() for unit in units])
            worst = max(worst, abs(int(np.linalg.matrix_rank(images)) - support(left, right, size)))
    return float(worst)


def _cases(factory: CaseFactory) -> list[Case]:
    return factory.random(1)[:1]


CLAIM = Claim(
    source="new; on Y Theorem 2 and Section 2 (models and rates), arXiv:2406.03768v2",
    statement="With $D = 4096$ and prompts of up to 500 tokens $d_S > N - 1$ for every module clipped at any rate up "
    "to .99: $C_t$ is singular on its support and the repaired bound is $+∞$, before and after.",
    origin="new",
    relation="at least",
    measure=lambda case: dimensions(),
    predict=lambda case: float(TOKENS),
    explanation="$d_S$ of one matrix clipped, and of $W_V$ and $W_KᵀW_Q$ both, with one head. Of the rates tried in "
    "the paper only .995 on a whole attention block leaves fewer directions, $20² = 400$, than 500 tokens fill (a "
    "control). The comparison of bounds that is to explain clipping has $+∞$ on both sides.",
    requires=("cases of its own",),
    controls=(
        Control(
            "the formula, counted at $D = 6$ for all pairs of ranks",
            measure=_counted,
            predict=lambda case: 0.0,
            relation="equal",
            expected=Verdict.HOLDS,
        ),
        Control("rate .995", measure=lambda case: dimensions((0.995,))),
        Control("models as small as ours, $D = 6$", measure=lambda case: dimensions((0.0, 0.5), 6)),
    ),
    cases=_cases,
)
