"""One claim in words: what it says, what is checked, and why it may fail."""

import textwrap
from typing import TYPE_CHECKING, Any

from icl_theory.core.marks import unmarked

if TYPE_CHECKING:
    from icl_theory.claims.engine.claim import Claim

RELATION_IN_WORDS = {
    "equal": "the measured value equals the predicted one",
    "at most": "the measured value is at most the predicted one",
    "at least": "the measured value is at least the predicted one",
    "never": "the event is seen in no case",
    "exists": "the event is seen in some case",
}
POPULATION_IN_WORDS = (
    "It is about the mean over trained seeds: the mean margin over them decides, with one Student interval that has to "
    "lie wholly on one side of 0; the seeds for and against it are counted."
)


def explain_record(claim: "Claim") -> dict[str, Any]:
    """What `explain_text` says, as a plain dictionary."""
    return {
        "label": claim.label,
        "statement": claim.statement,
        "origin": claim.origin,
        "source": claim.source,
        "relation": claim.relation,
        "over_seeds": claim.over_seeds,
        "assumptions": [assumption.sentence for assumption in claim.assumptions],
        "explanation": claim.explanation,
        "controls": [{"name": control.name, "expected": control.expected.value} for control in claim.controls],
        "proof": claim.proof is not None,
    }


def explain_text(claim: "Claim", width: int = 80) -> str:
    """Statement, origin, source, assumptions, what is checked and why it may fail, and the controls of a claim."""
    relation = RELATION_IN_WORDS[claim.relation]
    population = POPULATION_IN_WORDS if claim.over_seeds else ""
    parts = [
        ("statement", [claim.statement]),
        ("origin", [{"paper": "as printed in the source"}.get(claim.origin, claim.origin)]),
        ("source", [claim.source]),
        ("assumptions", [a.sentence for a in claim.assumptions] or ["none beyond the shapes"]),
        (
            "what is checked, and why it may fail",
            [claim.explanation, f"The statement holds if {relation}.", population],
        ),
        ("controls", [f"{c.name}: must come out {c.expected.value}" for c in claim.controls] or ["none"]),
    ]
    if claim.proof is not None:
        parts.append(("proof", ["a symbolic derivation is run along with the check"]))
    lines = [claim.label]
    for heading, paragraphs in parts:
        lines += ["", f"  {heading}"]
        for paragraph in filter(None, paragraphs):
            lines += textwrap.wrap(unmarked(paragraph), width, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)
