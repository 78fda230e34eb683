"""One claim of the page: what its row in the ledger and its article show in addition to the entry in the records."""

import math
from typing import Any

from icl_theory.records.documents import from_plain
from icl_theory.report.page.axes import spelled, typeset
from icl_theory.report.page.counterexample import counterexample_view
from icl_theory.report.page.elements import Markup
from icl_theory.report.page.formulas import sentence
from icl_theory.report.page.plots import evidence_figures
from icl_theory.report.page.templates import filled
from icl_theory.report.terminal.explain import BROKEN_IN_WORDS, POPULATION_IN_WORDS, RELATION_IN_WORDS
from icl_theory.report.terminal.tables import evidence_text

_FLIPS = {"regression": "a regression of this package", "changed": "another finding than before"}
_COUNTED = {"held": "held", "broken": "broken", "unattainable": "can be met by no data of that shape"}


def sheet(claim: dict[str, Any], place: int, z: float) -> Markup:
    """The article of one claim. Args: as for `claim_view`."""
    return filled("claim.html", claim=claim_view(claim, place, z))


def claim_view(claim: dict[str, Any], place: int, z: float) -> dict[str, Any]:
    """The entry, and what claim.html and ledger.html show in addition.

    Args:
        claim: an entry of `claims` in records.json.
        place: its number.
        z: see plots.
    """
    cases = len(claim["evidence"])
    return claim | {
        "place": place,
        "flip": _FLIPS.get(claim["flip"]),
        "finding": sentence(typeset(evidence_text(claim))),
        "holds_if": _holds_if(claim),
        "about": POPULATION_IN_WORDS if claim["over_seeds"] else "",
        "predicts": claim["predicts"] or _constant(claim),
        "assumptions": [assumption | {"counts": _counts(assumption, cases)} for assumption in claim["assumptions"]],
        "caught": sum(control["caught"] for control in claim["controls"]),
        "over_seeds": claim["over_seeds"] and _over_seeds(claim["over_seeds"]),
        "counterexamples": [counterexample_view(found, claim["refutes"]) for found in claim["counterexamples"]],
        "figures": evidence_figures(claim, z),
        "noted": any(item["note"] for item in claim["evidence"]),
    }


def _holds_if(claim: dict[str, Any]) -> str:
    relation = str(RELATION_IN_WORDS.get(claim["relation"], claim["relation"]))
    return BROKEN_IN_WORDS.format(relation) if claim["refutes"] else relation


def _constant(claim: dict[str, Any]) -> str:
    """What is predicted, where it is one number in all cases."""
    values = {from_plain(item["predicted"]) for item in claim["evidence"]}
    values = {value for value in values if not math.isnan(value)}
    return f"{spelled(values.pop())} in every case." if len(values) == 1 else ""


def _counts(assumption: dict[str, Any], cases: int) -> str:
    """In how many cases it held, was broken, or can never be met."""
    counts = [f"{words} in {assumption[name]} of {cases} cases" for name, words in _COUNTED.items() if assumption[name]]
    return "; ".join(counts) or "never checked"


def _over_seeds(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"chance": f"{from_plain(found['chance']):.1%}"}
