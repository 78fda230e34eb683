"""What has changed between two runs, as lines for the terminal."""

from typing import Any

from icl_theory.core.marks import unmarked
from icl_theory.records.compare import summary


def comparison_lines(found: dict[str, Any]) -> list[str]:
    """A comparison as lines for a terminal."""
    lines = [f"setting {c['name']}: {c['old']} → {c['new']}" for c in found["settings"]]
    lines += [f"{c['label']}: {c['old']} → {c['new']}" for c in found["verdicts"]]
    lines += [f"{c['label']}: control {unmarked(c['name'])!r}: {c['old']} → {c['new']}" for c in found["controls"]]
    words = {True: "true", False: "FALSE", None: "none"}
    lines += [f"{c['label']}: derivation {words[c['old']]} → {words[c['new']]}" for c in found["proofs"]]
    for name, text in (("new", "new"), ("gone", "gone, was"), ("not_run", "not examined this time, was")):
        lines += [f"{entry['label']}: {text} {entry['verdict']}" for entry in found[name]]
    return [*lines, f"compared: {summary(found)}"]
