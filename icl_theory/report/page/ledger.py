"""The top of the page: what the run found as a whole, the bar of verdicts, and the buttons that filter the ledger."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from icl_theory.report.page.words import ORIGINS, SECTIONS, VERDICT_SIGNS


def totals(claims: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Controls caught, derivations true, counterexamples kept, and the claims that are not sound."""
    controls = [control for claim in claims for control in claim["controls"]]
    derived = [claim["proved"] for claim in claims if claim["proved"] is not None]
    return {
        "caught": sum(control["caught"] for control in controls),
        "controls": len(controls),
        "true": sum(derived),
        "derivations": len(derived),
        "counterexamples": sum(len(claim["counterexamples"]) for claim in claims),
        "unsound": [claim["label"] for claim in claims if not claim["sound"]],
    }


def bar(claims: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The verdicts as parts of a bar of width 1000, in proportion."""
    counts = Counter(claim["verdict"] for claim in claims)
    names = [name for name in VERDICT_SIGNS if counts[name]]
    widths = [1000 * counts[name] / len(claims) for name in names]
    starts = accumulate(widths, initial=0.0)
    return [
        {"verdict": name, "count": counts[name], "at": f"{at:.2f}", "width": f"{width:.2f}"}
        for name, at, width in zip(names, starts, widths, strict=False)  # there is one start more
    ]


def sections(claims: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """(heading, claims) of every section with something on it."""
    placed = [(words, [c for c in claims if c["section"] == name]) for name, (_, words) in SECTIONS.items()]
    return [(words, own) for words, own in placed if own]


def filters(claims: Sequence[dict[str, Any]]) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """(kind, its buttons), a button being the value it filters for, its words, and how many claims have it."""
    return [
        ("verdict", _options(claims, "verdict", {name: words for name, (_, words) in VERDICT_SIGNS.items()})),
        ("origin", _options(claims, "origin", ORIGINS)),
        ("section", _options(claims, "section", {name: words for name, (words, _) in SECTIONS.items()})),
    ]


def _options(claims: Sequence[dict[str, Any]], field: str, words: Mapping[str, str]) -> list[tuple[str, str, int]]:
    counts = Counter(claim[field] for claim in claims)
    return [(name, word, counts[name]) for name, word in words.items() if counts[name]]
