"""Remark 4 as printed: controlling the norm of the implicit gradients lowers the bound."""

import math
from fractions import Fraction

from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.shrunk_gradients import floor_of, information_drop, least_drop


def counterexample() -> dict:
    """A 1 x 1 model with every weight 1 and two equally likely demonstration sets, b = 1; W_V divided by ten."""
    return {"value": 1, "key": 1, "query": 1, "sets": [[1, 2, 3], [1, 1, 4]], "shots": 1, "shrink": 10}


def _exact(found: dict, value: Fraction) -> tuple[Fraction, Fraction]:
    """E G², and exp(K (log E(G² + C) - E log C)) over K sets, in fractions (D = L = 1)."""
    norm = total = Fraction(0)
    product = Fraction(1)
    for tokens in found["sets"]:
        count, shots = len(tokens), found["shots"]
        gradients = [value * h * h * Fraction(found["key"]) * Fraction(found["query"]) for h in tokens]
        mean, square = (sum((g**power for g in gradients), Fraction(0)) / count for power in (1, 2))
        variance = Fraction(count - shots, shots * (count - 1)) * (square - mean * mean)
        norm, total, product = norm + mean * mean, total + mean * mean + variance, product * variance
    sets = len(found["sets"])
    return norm / sets, Fraction(-1) if product == 0 else math.prod([total / sets] * sets) / product


def recheck(found: dict) -> bool:
    """The gradient's norm falls and the bound does not, in exact fractions."""
    large, small = (_exact(found, Fraction(found["value"], divisor)) for divisor in (1, found["shrink"]))
    return bool(0 < small[0] < large[0] and 0 < large[1] <= small[1])


CLAIM = Claim(
    source="Y Remark 4, arXiv:2406.03768v2",
    statement="A smaller norm of the implicit gradients gives a smaller bound (noise as defined in Assumption 1).",
    origin="paper",
    relation="at least",
    measure=information_drop,
    predict=least_drop,
    explanation="By how many nats the bound falls when the gradient is shrunk tenfold on the same draws, against a "
    "thousandth of it. Since the noise covariance shrinks with the gradient, the two terms of the bound move by the "
    "same amount and nothing is gained.",
    controls=(
        Control(
            "with a noise floor",
            measure=lambda c: information_drop(c, floor_of(c)),
            predict=lambda c: least_drop(c, floor_of(c)),
            expected=Verdict.HOLDS,
        ),
        Control(
            "with a noise floor, gradient enlarged",
            measure=lambda c: information_drop(c, floor_of(c), 10.0),
            predict=lambda c: least_drop(c, floor_of(c)),
        ),
        Control(
            "with a noise floor, gradient as it was",
            measure=lambda c: information_drop(c, floor_of(c), 1.0),
            predict=lambda c: least_drop(c, floor_of(c)),
        ),
    ),
    cases=lambda factory: factory.one_layer,
    exact_counterexample=counterexample,
    verify_exact=recheck,
)
