"""Lemma 6, its last equality: the logarithm of an expectation is not the expectation of the logarithm."""

import math
from fractions import Fraction

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.claims.quantities.noise_channels import channel_information, noise_channel, second_line

_SETS = 64  # of the control on the information


def _alike(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Eight demonstration sets with the same mean and variance."""
    means, variances = noise_channel(case)
    return np.full_like(means, means[0]), np.full_like(variances, variances[0])


def _one_apart(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """64 equally likely demonstration sets, one of them eight standard deviations away from the others."""
    _, variances = noise_channel(case)
    means = np.zeros(_SETS)
    means[0] = 8 * math.sqrt(variances[0])
    return means, np.full(_SETS, variances[0])


def printed_line(means: np.ndarray, variances: np.ndarray, reference: float = 0.0) -> float:
    """½ E[log((G - g̃)² + C) - log C], d = 1."""
    return float(0.5 * (np.log((means - reference) ** 2 + variances) - np.log(variances)).mean())


def measure(case: Case) -> float:
    """$½ E[d log((||G - g̃||² + tr C)/d) - log det C]$, $g̃ = 0$."""
    return printed_line(*noise_channel(case))


def predict(case: Case) -> float:
    """$½ [d log(E(||G - g̃||² + tr C)/d) - E log det C]$, $g̃ = 0$."""
    return second_line(*noise_channel(case), 0.0)


def counterexample() -> dict:
    """A 1 x 1 model with every weight 1 and two equally likely demonstration sets, b = 1: G² + C is 98/3 and 86."""
    return {"value": 1, "key": 1, "query": 1, "sets": [[1, 2, 3], [1, 1, 4]], "shots": 1}


def sizes(found: dict) -> list[Fraction]:
    """G² + C of every set, in fractions (D = L = 1, g̃ = 0)."""
    scale, shots, result = Fraction(found["value"]) * found["key"] * found["query"], found["shots"], []
    for tokens in found["sets"]:
        count = len(tokens)
        mean, square = (sum((scale * h * h) ** power for h in tokens) / count for power in (1, 2))
        result.append(mean**2 + Fraction(count - shots, shots * (count - 1)) * (square - mean**2))
    return result


def recheck(found: dict) -> bool:
    """Whether K log(mean of the sizes) ≠ Σ log size for K sets with noise, that is mean^K ≠ product, in fractions."""
    values = sizes(found)
    return min(values) > 0 and (sum(values) / len(values)) ** len(values) != math.prod(values)


CLAIM = Claim(
    source="Y Lemma 6, its second line (and so Theorem 2), arXiv:2406.03768v2",
    statement="$d log(E(||G_t - g̃||² + tr C_t)/d) - E log det C_t = E[d log((||G_t - g̃||² + tr C_t)/d) - log det "
    "C_t]$.",
    origin="paper",
    relation="equal",
    measure=measure,
    predict=predict,
    explanation="The channel of `lemma_6`, expectations over the demonstration sets at a given $W_{t-1}$. The second "
    "line is the smaller one (Jensen, a control that holds), and it is no bound on the information: with one "
    "demonstration set in 64 unlike the others it falls below it. Theorem 2 is made from that line; theorem_2_scalar "
    "shows what comes of it.",
    requires=(),
    controls=(
        Control("at most", relation="at most", expected=Verdict.HOLDS),
        Control(
            "demonstration sets all alike",
            measure=lambda c: printed_line(*_alike(c)),
            predict=lambda c: second_line(*_alike(c), 0.0),
            expected=Verdict.HOLDS,
        ),
        Control(
            "a bound on the information, one set in 64 unlike the others",
            relation="at most",
            measure=lambda case: channel_information(*_one_apart(case)),
            predict=lambda case: printed_line(*_one_apart(case)),
        ),
        Control("at most, lowered by 30 %", relation="at most", predict=lambda case: 0.7 * predict(case)),
    ),
    exact_counterexample=counterexample,
    verify_exact=recheck,
    tolerance=1e-9,
)
