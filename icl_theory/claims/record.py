"""The record of one claim: everything the run found out about it, as plain data."""

import dataclasses
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

from icl_theory.claims.engine.check import BROKEN, UNATTAINABLE, Evidence
from icl_theory.claims.engine.claim import Assumption, Claim
from icl_theory.claims.engine.examine import Outcome
from icl_theory.claims.engine.grid_evidence import judged
from icl_theory.claims.engine.verdict import Verdict
from icl_theory.claims.order import section_of
from icl_theory.grids.finding_records import finding_record
from icl_theory.records.documents import to_plain


def record(outcome: Outcome, package: str | None = None) -> dict[str, Any]:
    """An entry of `claims` in records.json; `records/records.schema.json` says what each field means.

    `package`: the installed package or the file that the claim comes from; None for one of our own.
    """
    claim = outcome.claim
    return {
        "label": claim.label,
        "package": package,
        "section": section_of(claim.label),
        "statement": claim.statement,
        "origin": claim.origin,
        "source": claim.source,
        "relation": claim.relation,
        "refutes": claim.refutes,
        "grid": _grid(claim, outcome),
        "explanation": claim.explanation,
        "tolerance": claim.tolerance,
        "verdict": outcome.verdict,
        "expected": outcome.expected,
        "flip": outcome.flip,
        "informative": outcome.informative,
        "sound": outcome.sound,
        "over_seeds": None if outcome.over_seeds is None else dataclasses.asdict(outcome.over_seeds),
        "cases": dict(Counter(str(item.verdict) for item in outcome.evidence)),
        "assumptions": _assumptions(claim, outcome.evidence),
        "measures": _words(claim.measure),
        "predicts": _words(claim.predict),
        "evidence": [dataclasses.asdict(item) for item in outcome.evidence],
        "controls": [dataclasses.asdict(item) | {"caught": item.caught} for item in outcome.controls],
        "proved": outcome.proved,
        "proof": _words(claim.proof),
        "proof_note": outcome.proof_note,
        "counterexamples": [_counterexample(outcome, number) for number in range(len(outcome.counterexamples))],
        "seconds": outcome.seconds,
    }


def _grid(claim: Claim, outcome: Outcome) -> dict[str, Any] | None:
    """What a registered finding says in all cells together, and which factors decide; None for any other claim."""
    if not claim.finding or outcome.verdict in (Verdict.ERROR, Verdict.OUTSIDE):
        return None
    found = finding_record(judged(claim))
    return {name: found[name] for name in ("registered", "counts", "factors", "paper_cell")} | {"name": claim.finding}


def counterexample_file(label: str, number: int) -> str:
    """Name of a counterexample's file, relative to the directory of the run."""
    return f"counterexamples/{label}{f'_{number}' if number else ''}.json"


def _counterexample(outcome: Outcome, number: int) -> dict[str, Any]:
    """The document, where it is kept, and whether its exact part does break the statement, in exact arithmetic."""
    claim, document = outcome.claim, to_plain(outcome.counterexamples[number])
    exact = document["exact"]
    confirmed = None if exact is None or claim.verify_exact is None else claim.verify_exact(exact)
    return {"file": counterexample_file(claim.label, number), "exact_confirmed": confirmed, "document": document}


def _assumptions(claim: Claim, evidence: list[Evidence]) -> list[dict[str, Any]]:
    """In how many cases each assumption held, was broken, or can be met by no data; they are checked in order."""
    result, left = [], len(evidence)
    for assumption in claim.assumptions:
        broken, unattainable = (_noted(assumption, evidence, start) for start in (BROKEN, UNATTAINABLE))
        left -= broken + unattainable
        result.append({"sentence": assumption.sentence, "held": left, "broken": broken, "unattainable": unattainable})
    return result


def _noted(assumption: Assumption, evidence: list[Evidence], start: str) -> int:
    return sum(item.note == start + assumption.sentence for item in evidence)


def _words(function: Callable[..., Any] | None) -> str:
    """The first paragraph of a function's docstring, on one line; nothing where there is none."""
    function = inspect.unwrap(function) if function is not None else None
    text = inspect.getdoc(function) if inspect.isfunction(function) else None
    return " ".join((text or "").split("\n\n")[0].split())
