"""Readout sign: the plus readout of Y cannot make several layers several steps of gradient descent."""

import sympy as sp

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.descent.agreement import gradient_descent_agreement
from icl_theory.models.constructions import gradient_descent_weights


def distance(case: Case, readout: str) -> float:
    """Root mean square difference of the prediction from the best plain gradient descent of as many steps."""
    agreement = gradient_descent_agreement(
        case.model.replace(readout=readout), case.task, shots=case.training_shots, prompts=128, key=case.seed
    )
    return agreement.final.prediction_difference.value


def _cases(factory: CaseFactory) -> list[Case]:
    """Residual-updating weights of two and three layers, step sizes of both signs."""
    return [
        factory.constructed(factory.depth)[0].with_model(
            gradient_descent_weights(factory.task.dim, layers=layers, step_size=step),
            f"{layers} layers, step {step:g}",
            "constructed",
        )
        for layers in (2, 3)
        for step in (0.5, 0.2, -0.2)
    ]


def _one_layer(factory: CaseFactory) -> list[Case]:
    plain = gradient_descent_weights(factory.task.dim, step_size=-0.5)
    return [factory.constructed(1)[0].with_model(plain, "1 layer, step -0.5", "constructed")]


def _longer(case: Case, factor: float = 1.01) -> Case:
    """The last step times `factor`: steps of two sizes, which plain gradient descent with one size cannot take."""
    value = case.model.value.copy()
    value[-1] *= factor
    return case.with_model(case.model.replace(value=value), f"last step times {factor:g}")


def counterexample() -> dict:
    """d_x = 1, two layers of step 1 and two prompts with S_xx = 1 and 2, labels y = x."""
    return {"step": 1, "second": [1, 2]}


def recheck(found: dict) -> bool:
    """No step size e makes two plain steps equal to the plus readout on both prompts, by exact algebra.

    With S_xy = S_xx = s two steps of size e reach w = e s (2 - e s); the weights of step size h read -h s (2 - h s).
    """
    e, h = sp.Symbol("e"), sp.Rational(found["step"])
    conditions = [sp.expand(e * s * (2 - e * s) + h * s * (2 - h * s)) for s in map(sp.Integer, found["second"])]
    common = conditions[0]
    for condition in conditions[1:]:
        common = sp.gcd(common, condition)
    return not sp.Poly(common, e).degree() > 0


def measure(case: Case) -> float:
    """Distance of the predictions, read with a plus, from gradient descent with the best step size."""
    return distance(case, "plus")


CLAIM = Claim(
    source="new; Y Section 3.1 reads plus the label slot, arXiv:2406.03768v2",
    statement="There are residual-updating weights of several layers that, read with a plus, are not gradient descent.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=measure,
    predict=lambda case: 1e-6,
    explanation="With the minus readout these weights are gradient descent exactly (a control). Read with a plus, the "
    "first step goes the right way only if the residuals grow, and no step size fits. At one layer the two are "
    "equivalent (a control).",
    controls=(
        Control("minus readout", measure=lambda case: distance(case, "minus"), expected=Verdict.HOLDS),
        Control("one layer", cases=_one_layer, expected=Verdict.HOLDS),
        Control("minus readout, last step 1 % longer", measure=lambda case: distance(_longer(case), "minus")),
        Control("minus readout, last step backwards", measure=lambda case: distance(_longer(case, -1.0), "minus")),
    ),
    cases=_cases,
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
