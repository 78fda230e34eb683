"""Condition numbers bound what the isotropic prior costs: Theorem 2 compared with the heuristic of Y Section 3.4."""

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control
from icl_theory.claims.quantities.isotropic_cost import RESOLVED_SPECTRUM, condition_cost, isotropic_excess

FULL_RANK = Assumption(
    "$W_V$ and $W_KᵀW_Q$ have full rank",
    holds=lambda case: case.ladder().support[0] == case.model.token_dim * (case.model.token_dim + 1) // 2,
)


def _cases(factory: CaseFactory) -> list[Case]:
    return [*factory.random(1), *factory.trained(1)]


CLAIM = Claim(
    source="new; Y Section 3.4 and Lemma 6, arXiv:2406.03768v2",
    statement="At $L = 1$ the isotropic rung exceeds the Gaussian one by at most $½ d_S log(κ(W_V)² κ(W_KᵀW_Q)² "
    "κ(Σ)²)$.",
    origin="new",
    relation="at most",
    measure=isotropic_excess,
    predict=condition_cost,
    assumptions=(FULL_RANK, RESOLVED_SPECTRUM),
    explanation="AM/GM of a spectrum is at most its condition number, and that of $X → A X B$ at most $κ(A) κ(B)$.",
    controls=(
        Control("a tenth of the logarithm", predict=lambda case: condition_cost(case, 0.1)),
        Control("the other way round", measure=condition_cost, predict=isotropic_excess),
    ),
    cases=_cases,
)
