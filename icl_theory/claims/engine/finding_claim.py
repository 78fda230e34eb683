"""Claims that are findings on a registered grid."""

import re
from typing import Any, NoReturn

import numpy as np

from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Control
from icl_theory.claims.engine.verdict import Verdict
from icl_theory.core import checks
from icl_theory.grids.registration import findings

_SYMBOL = re.compile(r"\b[A-Za-z]_\w\b")
"""What registered files, which are plain text, have of formulas: a letter with an index."""
SHIFT = 30.0
"""More than any value of a finding but a few: e^30 in the error of regression."""


def finding_claim(name: str, explanation: str, *, small: float, controls: tuple[Control, ...] = ()) -> Claim:
    """The claim of a registered finding; source, statement and origin are those of the registered file.

    Every such claim has four controls: all values so low that it must fail, so high that it must hold, a larger effect
    asked for than there is, and values whose signs are drawn at random, of which nothing can be said.

    Args:
        name: of the finding.
        explanation: what is seen, and why.
        small: what is asked for beyond the statement in the control that must fail, in units of the value.
        controls: more of them.
    """
    finding = findings()[name]
    usual = (
        Control("every value lowered beyond all", read=lambda values: values - SHIFT),
        Control(f"{small:g} more asked for", read=lambda values: values - small),
        Control("every value raised beyond all", read=lambda values: values + SHIFT, expected=Verdict.HOLDS),
        Control("signs drawn at random", read=with_random_signs, expected=Verdict.INCONCLUSIVE),
    )
    return Claim(
        source=finding.source,
        statement=finding.statement,
        origin=finding.origin,
        relation="trend",
        measure=_measure(finding.value),
        explanation=f"{explanation} Grid and margin were registered on {finding.registered}, before the first run.",
        requires=("cases of its own",),
        finding=name,
        controls=(*usual, *controls),
    )


def with_random_signs(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """The same sizes without any effect: every value is for the statement or against it by the toss of a coin.

    Args:
        values: of every cell and seed.
        seed: of the coin.
    """
    return values * np.random.default_rng(seed).choice((-1.0, 1.0), values.shape)


def _measure(value: str) -> Any:
    def measure(case: Case) -> NoReturn:
        hint = "use `examine`, or `icl_theory.grids.judge`"
        raise checks.error("finding on a grid", f"the case {case.name!r}", "the record of its grid, not a case", hint)

    measure.__doc__ = _SYMBOL.sub(r"$\g<0>$", value)
    return measure
