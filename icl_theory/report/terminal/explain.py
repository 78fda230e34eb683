"""One claim in words: what it says, what is checked, and why it may fail."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from icl_theory.claims.order import LABELS
from icl_theory.claims.registry import load, package_of, subject_of
from icl_theory.core.marks import unmarked

if TYPE_CHECKING:
    from icl_theory.claims.engine.claim import Claim
    from icl_theory.claims.outside import OutsideClaim

RELATION_IN_WORDS = {
    "equal": "the measured value equals the predicted one",
    "at most": "the measured value is at most the predicted one",
    "at least": "the measured value is at least the predicted one",
    "never": "the event is seen in no case",
    "exists": "the event is seen in some case",
    "trend": "nearly all decided cells of a grid that was registered beforehand are for it",
}
BROKEN_IN_WORDS = "in some case the following is false: {}"
"""Of a claim that refutes, with the words of its relation."""
POPULATION_IN_WORDS = (
    "It is about the mean over trained seeds: the mean margin over them decides, with one Student interval that has to "
    "lie wholly on one side of 0; the seeds for and against it are counted."
)

_ORIGINS = {"paper": "as printed in the source", "reading": "the source's words, with a margin that is ours"}


def matching(
    labels: Iterable[str], given: Mapping[str, "OutsideClaim"], words: str | None
) -> list[tuple[str, "Claim"]]:
    """The claims of these labels, those that have all the words in what they say of themselves, with their labels.

    Args:
        labels: in the order of the list.
        given: claims of files by label; all others are loaded.
        words: parted by blanks, upper or lower case; None for no condition.
    """
    found = [(label, given[label].claim if label in given else load(label)) for label in labels]
    wanted = (words or "").lower().split()
    return [(label, claim) for label, claim in found if all(word in _all_words(claim) for word in wanted)]


def _all_words(claim: "Claim") -> str:
    parts = [claim.label, claim.statement, claim.source, claim.origin, claim.explanation]
    return unmarked(" ".join([*parts, *(assumption.sentence for assumption in claim.assumptions)])).lower()


def listing(chosen: Sequence[tuple[str, "Claim"]], given: Mapping[str, "OutsideClaim"], width: int = 100) -> str:
    """One line for each claim, under the subject it belongs to, or the package or file it comes from."""
    groups: dict[str, list[str]] = {}
    longest = max((len(label) for label, _ in chosen), default=0)
    for label, claim in chosen:
        package = given[label].package if label in given else package_of(label)
        said = textwrap.shorten(unmarked(claim.statement), max(width - longest - 4, 20), placeholder=" ...")
        groups.setdefault(package or subject_of(label), []).append(f"  {label:{longest}}  {said}")
    count = f"{len(chosen)} claim{'s' * (len(chosen) != 1)}"
    lines = [f"{count}; `icl-theory explain LABEL` says more of one, `--grep WORDS` looks for words."]
    for group, rows in groups.items():
        lines += ["", group, *rows]
    return "\n".join(lines) + "\n"


def explain_record(claim: "Claim") -> dict[str, Any]:
    """What `explain_text` says, as a plain dictionary."""
    return {
        "label": claim.label,
        "statement": claim.statement,
        "origin": claim.origin,
        "source": claim.source,
        "relation": claim.relation,
        "refutes": claim.refutes,
        "finding": claim.finding,
        "over_seeds": claim.over_seeds,
        "assumptions": [assumption.sentence for assumption in claim.assumptions],
        "explanation": claim.explanation,
        "controls": [{"name": control.name, "expected": control.due(claim).value} for control in claim.controls],
        "proof": claim.proof is not None,
    }


def explain_text(claim: "Claim", width: int = 80) -> str:
    """Statement, origin, source, assumptions, what is checked and why it may fail, and the controls of a claim."""
    relation = RELATION_IN_WORDS[claim.relation]
    relation = BROKEN_IN_WORDS.format(relation) if claim.refutes else relation
    population = POPULATION_IN_WORDS if claim.over_seeds else ""
    parts = [
        ("statement", [claim.statement]),
        ("origin", [_ORIGINS.get(claim.origin, claim.origin)]),
        ("source", [claim.source]),
        ("assumptions", [a.sentence for a in claim.assumptions] or ["none beyond the shapes"]),
        (
            "what is checked, and why it may fail",
            [claim.explanation, f"The statement holds if {relation}.", population],
        ),
        ("controls", [f"{c.name}: must come out {c.due(claim).value}" for c in claim.controls] or ["none"]),
    ]
    if claim.proof is not None:
        parts.append(("proof", ["a symbolic derivation is run along with the check"]))
    if claim.label in LABELS:
        own = f"icl_theory/claims/{subject_of(claim.label)}/{claim.label}.py"
        parts.append(("check it", [f"icl-theory verify --claims {claim.label}", f"its code is {own}"]))
    lines = [claim.label]
    for heading, paragraphs in parts:
        lines += ["", f"  {heading}"]
        for paragraph in filter(None, paragraphs):
            lines += textwrap.wrap(unmarked(paragraph), width, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)
