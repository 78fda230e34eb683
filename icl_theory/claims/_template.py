"""Copy this file to `<subject>/<label>.py`, add the label to `claims/order.py`, and say here what is stated.

Formula first, then symbol ↔ argument, then why it may fail. The example below is a claim that is true and checked:
tr(A B) = tr(B A).
"""

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control


def measure(case: Case) -> float:
    """The left side, computed by one method. Return a number or array (exact) or an `Estimate` (sampled)."""
    return float(np.trace(case.model.value[0] @ case.model.key[0]))


def predict(case: Case) -> float:
    """The right side, computed by another method that shares as little code as possible."""
    return float((case.model.key[0] * case.model.value[0].T).sum())


CLAIM = Claim(
    source="item, arXiv number and version",
    statement="$tr(W_V W_K) = tr(W_K W_V)$, in your own words.",
    origin="new",  # or "paper", "repaired"
    relation="equal",  # or "at most", "at least", "never", "exists"
    measure=measure,
    predict=predict,
    # assumptions=(Assumption("sentence", holds=lambda case: ...),): outside them there is no verdict on the statement.
    # trivial=lambda case: ...: for a bound, the value that everything satisfies anyway.
    # over_seeds=True, cases=lambda factory: factory.trained_seeds(1): an inequality about the mean over trained seeds.
    # requires=("Gaussian tokens",): what statement and check are about, in settings other than the usual ones.
    # cases=lambda factory: factory.one_layer: which weights and data; all kinds if left out.
    explanation="What is compared with what, and why it could fail.",
    controls=(
        # Negative controls that must end in FAILS. A statement that is false also needs a sound version that HOLDS.
        Control("off by 1 %", predict=lambda case: 1.01 * predict(case)),
        Control("a transpose", predict=lambda case: float((case.model.key[0] * case.model.value[0]).sum())),
    ),
    # proof=lambda: ...: a sympy derivation that returns True if it comes out.
)
