"""The verdict that every claim of this package is known to have, and what it means when a run finds another.

One file, `expected_verdicts.json`, holds them; tests, CI and `verify` read it. A change of any of them is news that
belongs into the changelog. They were found with every seed tried and both profiles, so a run that differs has met a
change of the code, not of the dice.
"""

import functools
import json
from importlib.resources import files
from typing import Literal

Flip = Literal["regression", "changed"]


@functools.cache
def expected_verdicts() -> dict[str, str]:
    """label → verdict of every claim of this package, in the order of the ledger."""
    text = (files("icl_theory.claims") / "expected_verdicts.json").read_text("utf-8")
    return dict(json.loads(text))


def expected_verdict(label: str) -> str | None:
    """The known verdict of a claim; None for one that is not of this package."""
    return expected_verdicts().get(label)


def flip(label: str, origin: str, verdict: str) -> Flip | None:
    """What it means that a claim came out with this verdict; None where it is the known one, or none is known.

    "regression": the statement is ours (repaired or new), so our code no longer does what our theorem says; a run
    with one is not sound. "changed": the statement is printed in the paper; the finding on it is another one, which is
    reported, and left to the reader to judge.
    """
    known = expected_verdict(label)
    if known is None or verdict == known:
        return None
    return "changed" if origin == "paper" else "regression"
