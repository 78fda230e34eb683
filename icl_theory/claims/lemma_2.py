"""Lemma 2 (Xu and Raginsky): the information between output and demonstrations bounds the gap."""

from icl_theory.claims.base import Claim, Control
from icl_theory.claims.cases import Case
from icl_theory.claims.theorem_2_printed import gap
from icl_theory.claims.theorem_2_repaired import RESOLVED
from icl_theory.estimate import Estimate


def bound(case: Case) -> Estimate:
    """sqrt(2 R² I / N) from the upper end of the sandwich."""
    return case.ladder().rungs["mutual_information"]


def _scaled(case: Case, factor: float) -> Estimate:
    return Estimate(factor * bound(case).value, factor * bound(case).stderr)


CLAIM = Claim(
    label="lemma_2",
    source="Xu and Raginsky 2017, arXiv:1705.07809v2; Y Lemma 2, arXiv:2406.03768v2",
    statement="gap ≤ sqrt(2 R² I(W; H_s) / N).",
    printed="printed",
    relation="at most",
    measure=gap,
    predict=bound,
    trivial=lambda case: case.ladder().trivial,
    assumptions=(RESOLVED,),
    explanation="Gap of the clipped squared error (R = c/2; the plain squared error is not sub-Gaussian here) against "
    "the upper end of the sandwich of the mutual information, at L > 1 of the path information.",
    controls=(
        Control("bound / 100", {"predict": lambda case: _scaled(case, 0.01)}),
        Control(
            "bound / 10 on the population risk",
            {"measure": lambda case: case.ladder().population, "predict": lambda case: _scaled(case, 0.1)},
        ),
    ),
)
