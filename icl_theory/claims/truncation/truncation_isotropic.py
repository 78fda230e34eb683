"""The isotropic rung need not fall when W_Q is truncated: fewer dimensions, but a less even spectrum."""

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control, Verdict
from icl_theory.core.estimate import Estimate
from icl_theory.information.ladder.bound_ladder import Batches, BoundLadder, ladder_of
from icl_theory.information.ladder.rungs import mean_estimate
from icl_theory.information.ladder.setting import Setting
from icl_theory.models.model import Model
from icl_theory.models.options import Module
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.truncation.module_truncation import truncate_weights

VALUE, KEY, QUERY = ((2, 2), (1, 2)), ((1, 1), (-2, 2)), ((3, 0), (0, 2))
"""Small integers whose large-N isotropic rung rises by 0.39 nats when W_Q is cut to diag(3, 0); found by search."""


def integer_counterexample() -> dict[str, Any]:
    """The weights above, with W_Q diagonal so that its truncation is exact, and N / (N - b) = 4/3."""
    model = {"value": VALUE, "key": KEY, "query": QUERY}
    return {name: [list(row) for row in matrix] for name, matrix in model.items()} | {"ratio": [4, 3]}


def _volume_and_trace(value: Any, inner: Any, rank: int) -> tuple[Fraction, Fraction]:
    """Product of the nonzero eigenvalues, and trace, of P Pᵀ for tokens N(0, I) in two dimensions, without the 2/b.

    P maps orthonormal symmetric coordinates to vec(W_V X W_Kᵀ W_Q); √2 never appears because Gram entries are squares.
    """
    basis = ([[1, 0], [0, 0]], [[0, 0], [0, 1]], [[0, 1], [1, 0]])
    images = [(value @ np.array(matrix, dtype=object) @ inner).ravel() for matrix in basis]
    gram = np.array([[Fraction(int(a @ b)) for b in images] for a in images])
    weight = (Fraction(1), Fraction(1), Fraction(1, 2))  # the third one has norm √2
    trace = sum((w * gram[i, i] for i, w in enumerate(weight)), Fraction(0))
    if rank == 3:
        (a, b, c), (d, e, f), (g, h, i) = gram
        return (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)) / 2, trace
    minors = Fraction(0)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        minors += weight[i] * weight[j] * (gram[i, i] * gram[j, j] - gram[i, j] ** 2)
    return minors, trace


def recheck(found: dict[str, Any]) -> bool:
    """ρ² (t'/2)² / v' > ρ³ (t/3)³ / v in exact fractions: the large-N isotropic rung rises from d_S = 3 to 2."""
    value, key, query = (np.array(found[name], dtype=object) for name in ("value", "key", "query"))
    if query[0, 1] or query[1, 0] or abs(query[0, 0]) <= abs(query[1, 1]):
        return False
    cut = query.copy()
    cut[1, 1] = 0
    ratio = Fraction(*found["ratio"])
    (full, trace), (less, part) = (_volume_and_trace(value, key.T @ q, rank) for q, rank in ((query, 3), (cut, 2)))
    if full == 0 or less == 0:
        return False
    return ratio**2 * (part / 2) ** 2 / less > ratio**3 * (trace / 3) ** 3 / full


@lru_cache(maxsize=64)
def _ladders(case: Case, module: Module) -> tuple[BoundLadder, BoundLadder]:
    """After and before truncation to rank D - 1, on the same draws."""
    setting = Setting(case.model, case.task, case.task_vector, case.ladder_demonstrations, case.ladder_shots)
    cut = truncate_weights(case.model, layer=0, module=module, rank=case.model.token_dim - 1)
    after = Setting(cut, case.task, case.task_vector, case.ladder_demonstrations, case.ladder_shots)
    batches = Batches(setting, case.seed, case.samples)
    return ladder_of(after, batches, 4.0, 16), ladder_of(setting, batches, 4.0, 16)


def change(case: Case, module: Module = "query", rung: str = "isotropic") -> Estimate:
    """Rung after minus before truncation in nats, paired over runs."""
    after, before = _ladders(case, module)
    return mean_estimate(after.terms[rung] - before.terms[rung], "unbiased", "nats")


def cases(factory: CaseFactory) -> list[Case]:
    """The integer weights on tokens N(0, I), then random ones, which usually obey."""
    model = Model.create(VALUE, KEY, QUERY)
    task = LinearRegression(1, noise_std=1.0)
    seed = 1000 * factory.seed
    made = Case("integer weights", "constructed", seed, model, task, np.zeros(1), np.eye(2), 1, factory.profile.samples)
    return [made, *factory.random(1)]


def _lowered(case: Case) -> Estimate:
    found = change(case, "query", "gaussian")
    return Estimate(found.value + 10.0, found.stderr, found.samples, "unbiased")


CLAIM = Claim(
    source="new; on Y Lemma 6 and Section 3.4, arXiv:2406.03768v2",
    statement="At $L = 1$ there are weights for which truncating $W_Q$ raises the isotropic rung.",
    origin="new",
    refutes=True,
    relation="at most",
    measure=change,
    predict=lambda case: 0.0,
    explanation="Truncation lowers $d_S$, but the spectrum that is left may be less even: $d_S log(AM/GM)$ rises. True "
    "of most random weights, false of some integer ones by data of any size, shown for large $N$ in exact fractions.",
    controls=(
        Control(
            "Gaussian rung instead", measure=lambda case: change(case, "query", "gaussian"), expected=Verdict.HOLDS
        ),
        Control("Gaussian rung falls by ten nats", measure=_lowered),
        Control("truncation never lowers it", relation="at least"),
    ),
    cases=cases,
    exact_counterexample=integer_counterexample,
    verify_exact=recheck,
)
