"""The forward pass itself, without noise: S tells little of a single demonstration, and that bounds the gap."""

import math
from functools import lru_cache

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import CLIP, Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.core.estimate import Estimate
from icl_theory.information.forward_pass.bounds import ForwardPassBounds, forward_pass_bounds
from icl_theory.information.forward_pass.single_token import second_moment_information


@lru_cache(maxsize=256)
def found(case: Case, shots: int | None = None) -> ForwardPassBounds:
    """Bounds and gap at N = 80, all of them or a random subset shown to all layers."""
    return forward_pass_bounds(
        case.model,
        case.task,
        demonstrations=case.ladder_demonstrations,
        clip=CLIP,
        samples=4 * case.samples,
        shots=shots,
        key=case.seed,
        task_vector=case.task_vector,
    )


def gap(case: Case, shots: int | None = None) -> Estimate:
    """Measured gap."""
    return found(case, shots).gap


def bound(case: Case) -> float:
    """$R sqrt(2 I_1(N, D))$, $I_1$ a difference of Wishart entropies."""
    nats = second_moment_information(case.ladder_demonstrations, case.model.token_dim)
    return CLIP / 2 * math.sqrt(2 * nats)


def _subset(case: Case) -> float:
    """$(b/N) R sqrt(2 I_1(b, D))$."""
    nats = second_moment_information(case.ladder_shots, case.model.token_dim)
    return case.ladder_shots / case.ladder_demonstrations * CLIP / 2 * math.sqrt(2 * nats)


def _deep(factory: CaseFactory) -> list[Case]:
    return [*factory.random(factory.depth), *factory.trained(factory.depth)]


CLAIM = Claim(
    source="new; with Bu, Zou, Veeravalli 2020, arXiv:1901.04609v3",
    statement="For the deterministic forward pass of linear attention with Gaussian tokens, of any depth, heads and "
    "truncation, $gap ≤ R sqrt(2 I(S; h_1))$, with all $N$ demonstrations shown.",
    origin="new",
    relation="at most",
    measure=gap,
    predict=bound,
    trivial=lambda case: CLIP,
    explanation="$I(W; H_s) = +∞$ without noise, but a bound by single demonstrations needs $I(W; h_1) ≤ I(S; h_1)$ "
    "alone. $N = 80$, clipped squared error, all weights: 1.046 at every depth, where the repaired Theorem 2 has about "
    "five at three layers. A random subset of $b$ shown to all layers has $b/N$ times the bound of $b$ (a control).",
    requires=("linear regression", "token covariance of full rank"),
    controls=(
        Control(
            "a random subset of 20 shown to all layers",
            measure=lambda case: gap(case, case.ladder_shots),
            predict=_subset,
            cases=_deep,
            expected=Verdict.HOLDS,
        ),
        Control(
            "the library's rung",
            measure=lambda case: found(case).rungs["wishart"].value,
            predict=bound,
            relation="equal",
            trivial=None,
            cases=lambda factory: [*factory.random(factory.depth), *factory.constructed(1)],
            tolerance=1e-9,
            expected=Verdict.HOLDS,
        ),
        Control("bound / 30", predict=lambda case: bound(case) / 30),
        Control(
            "bound / 10 on the population risk",
            measure=lambda case: found(case).population_loss,
            predict=lambda case: bound(case) / 10,
        ),
    ),
)
