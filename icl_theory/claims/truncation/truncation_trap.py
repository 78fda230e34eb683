"""The truncation trap: the optimum's largest singular values belong to the directions that matter least."""

from fractions import Fraction

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.anisotropic_optima import anisotropic_optima
from icl_theory.truncation.risk_curves import truncation_curves


def _curve(case: Case, name: str) -> np.ndarray:
    """Exact population risk at the ranks 1, ..., d_x - 1."""
    return np.asarray(getattr(truncation_curves(case.task, shots=case.training_shots), name))[1 : case.task.dim]


def _isotropic(factory: CaseFactory) -> list[Case]:
    return factory.constructed(1)[1:]


def counterexample() -> dict:
    """Two inputs of variance 4 and 1, twenty noise-free demonstrations, rank 1."""
    return {"variances": [4, 1], "noise": 0, "shots": 20}


def recheck(found: dict) -> bool:
    """The direction with the largest singular value 1/γ_i is not the one whose loss λ_i²/γ_i is largest, in fractions.

    γ_i = ((N+1)/N) λ_i + (Σ λ + σ²)/N; keeping direction i alone has risk Σ λ - λ_i²/γ_i.
    """
    variances, shots = [Fraction(v) for v in found["variances"]], Fraction(found["shots"])
    total = sum(variances, Fraction(0))
    gammas = [((shots + 1) * v + total + Fraction(found["noise"])) / shots for v in variances]
    risks = [total - v * v / g for v, g in zip(variances, gammas, strict=True)]
    kept = min(range(len(gammas)), key=lambda i: gammas[i])
    return len(set(gammas)) == len(gammas) and 1000 * risks[kept] > 1001 * min(risks)


def measure(case: Case) -> np.ndarray:
    """Exact risk of the optimum cut by its own SVD, at every rank."""
    return _curve(case, "plain")


def predict(case: Case) -> np.ndarray:
    """The smallest risk at that rank, and 0.1 % more."""
    return 1.001 * _curve(case, "best")


CLAIM = Claim(
    source="new; on Y Section 2 and Algorithm 1, arXiv:2406.03768v2, applied to the exact optimum",
    statement="For some inputs cutting the smallest singular values of the one-layer optimum does not give its best "
    "rank-$m$ version in risk.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=measure,
    predict=predict,
    explanation="Exact risks at every rank. $Γ^{-1}$ is largest where inputs vary least, so plain truncation keeps the "
    "wrong directions; truncation in the whitened metric keeps the right ones (a control).",
    requires=("linear regression", "isotropic inputs and tasks"),
    controls=(
        Control(
            "truncation in the whitened metric", measure=lambda case: _curve(case, "whitened"), expected=Verdict.HOLDS
        ),
        Control("isotropic inputs", cases=_isotropic, expected=Verdict.HOLDS),
        Control(
            "whitened, 1 % better than the best",
            measure=lambda c: _curve(c, "whitened"),
            predict=lambda c: 0.99 * _curve(c, "best"),
        ),
        Control(
            "isotropic inputs, 1 % better than the best",
            cases=_isotropic,
            predict=lambda case: 0.99 * _curve(case, "best"),
        ),
    ),
    cases=anisotropic_optima,
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
