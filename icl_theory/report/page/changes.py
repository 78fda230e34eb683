"""The page's section on another run: which verdicts, controls and derivations came out differently."""

from collections.abc import Collection
from typing import Any

from icl_theory.records.compare import summary

_DERIVED = {True: "true", False: "FALSE", None: "none"}
_MISSING = {"new": "New", "gone": "No longer there", "not_run": "Not examined this time"}


def changes_view(found: dict[str, Any] | None, labels: Collection[str]) -> dict[str, Any] | None:
    """What changes.html shows of what `compare.compare` found; None without another run.

    Args:
        found: the comparison.
        labels: of the claims that are on the page, to which a name can lead.
    """
    if found is None:
        return None
    return {
        "summary": summary(found),
        "labels": labels,
        "verdicts": found["verdicts"],
        "controls": found["controls"],
        "derivations": [{**c, "old": _DERIVED[c["old"]], "new": _DERIVED[c["new"]]} for c in found["proofs"]],
        "missing": [(heading, found[kind]) for kind, heading in _MISSING.items() if found[kind]],
        "settings": found["settings"],
    }
