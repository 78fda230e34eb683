"""A small ledger that needs no training: a claim for every verdict and relation, with hostile words in every text."""

import functools
from dataclasses import replace
from typing import Any

import numpy as np

from icl_theory import Estimate, LinearRegression, Model
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Assumption, Claim, Control, Verdict
from icl_theory.claims.engine.examine import examine
from icl_theory.claims.engine.finding_claim import finding_claim
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.record import record
from icl_theory.claims.registry import load
from icl_theory.records.documents import to_plain
from icl_theory.records.environment import environment

HOSTILE = "</script><script>window.hurt=1</script><img src=x onerror=window.hurt=1>\"'&"


def cases(_: CaseFactory) -> list[Case]:
    """Six one-dimensional models of three kinds."""
    one, kinds = np.ones((1, 1, 1)), ("random", "trained", f"odd {HOSTILE}")
    return [
        Case(
            f"{kinds[i // 2]}, seed {i}",
            "random",
            i,
            Model(one, one, one),
            LinearRegression(1),
            one[0, 0],
            one[0],
        )
        for i in range(6)
    ]


def measured(case: Case) -> float:
    return 10.0**case.seed


def derivation() -> bool:
    """$x = x$, so $I + Σ_j ΔW_j Π_{s<j} (I + ΔW_s) = Π_s (I + ΔW_s)$; `code` & <b>bold</b>."""
    return True


EQUAL = Claim(
    label="equal",
    source=f"a source of $W_K$ {HOSTILE}",
    statement=f"$C = (N-b)/(b(N-1)) tr S$ {HOSTILE}",
    origin="paper",
    relation="equal",
    measure=measured,
    predict=lambda case: 10.0**case.seed * (1 + 1e-13 * (case.seed % 2)),
    explanation=f"what is checked, ${HOSTILE}$, {HOSTILE}",
    assumptions=(Assumption(f"$N > 1$ {HOSTILE}", lambda case: True),),
    controls=(
        Control(f"off by 1 % {HOSTILE}", predict=lambda case: 1.01 * measured(case)),
        Control("one $N$ sided", relation="at most", predict=lambda case: 0.9 * measured(case)),
    ),
    cases=cases,
    proof=derivation,
)


def estimate(value: float, error: float) -> Any:
    return lambda case: Estimate(value, error, 100, "unbiased", note=HOSTILE)


CLAIMS = (
    EQUAL,
    replace(
        EQUAL,
        label="fails",
        relation="at most",
        origin="new",
        predict=lambda case: 500.0,
        exact_counterexample=lambda: {"value": [[1, -2], [0, 3]], "tokens": [5, 6], "scale": 2, "why": HOSTILE},
        verify_exact=lambda found: found["scale"] == 2,
        proof=None,
    ),
    replace(
        EQUAL,
        label="sampled",
        statement=load("theorem_2_repaired").statement,
        relation="at least",
        measure=estimate(5.0, 0.1),
        predict=lambda case: 1.0,
        proof=None,
    ),
    replace(
        EQUAL, label="undecided", relation="at most", measure=estimate(1.0, 0.5), predict=lambda c: 2.0, proof=None
    ),
    replace(EQUAL, label="vacuous", relation="at most", predict=lambda c: np.inf, trivial=lambda c: 3.0, proof=None),
    replace(EQUAL, label="outside", assumptions=(Assumption(HOSTILE, lambda case: False),), proof=None),
    replace(EQUAL, label="never_seen", relation="never", measure=lambda c: c.seed == 9, origin="repaired", proof=None),
    replace(EQUAL, label="not_finite", measure=lambda case: np.nan, proof=lambda: False, controls=()),
)
MORE = (
    replace(
        finding_claim("more_shots_help", f"Half of the cells each way. {HOSTILE}", small=20.0),
        label="depends",
        origin="reading",
        read=lambda values: np.where(np.arange(len(values))[:, None] % 2, 1.0, -1.0) * np.ones_like(values),
    ),
    replace(
        EQUAL,
        label="refutes",
        relation="at most",
        refutes=True,
        predict=lambda case: 0.0,
        exact_counterexample=lambda: {"value": [[1, -2], [0, 3]]},
        verify_exact=lambda found: found["value"][0][0] == 1,
        proof=None,
    ),
)
"""A finding on a registered grid, and a counterexample that is said positively."""
VERDICTS = (
    *(Verdict.HOLDS, Verdict.FAILS, Verdict.HOLDS, Verdict.INCONCLUSIVE),
    *(Verdict.VACUOUS, Verdict.OUTSIDE, Verdict.HOLDS, Verdict.NONFINITE),
)
"""What the claims are, in their order."""
SECTIONS = (*["paper"] * 4, *["related"] * 3, "outside")


@functools.cache
def _document() -> dict[str, Any]:
    factory = CaseFactory(PROFILES["quick"], 0)
    claims = [record(replace(examine(claim, factory), seconds=0.5)) for claim in CLAIMS]
    for claim, section in zip(claims, SECTIONS, strict=True):
        claim["section"] = section
    claims[-1]["package"] = f"foreign 1.0 {HOSTILE}"
    facts = {"profile": "quick", "seed": 0, "standard_errors": 6.0, "seconds": 1.25}
    return to_plain({"format": 2, "environment": environment(), "claims": claims, "sweep": [], **facts})


def document() -> dict[str, Any]:
    """The records of a run over these claims, as `verify` makes them; a copy that may be changed."""
    return to_plain(_document())


@functools.cache
def _more() -> list[dict[str, Any]]:
    factory = CaseFactory(PROFILES["quick"], 0)
    return to_plain([record(replace(examine(claim, factory), seconds=0.5)) for claim in MORE])


def document_with_more() -> dict[str, Any]:
    """The same with the claims of `MORE` before them."""
    return document() | {"claims": to_plain(_more()) + document()["claims"]}
