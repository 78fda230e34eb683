"""Two runs of `verify` side by side: which verdicts, controls and proofs came out differently."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from icl_theory.core import checks
from icl_theory.core.marks import unmarked
from icl_theory.records.files import read_json

FORMAT = 2
"""Of records.json."""


def read_run(path: str | Path) -> dict[str, Any]:
    """The records of an earlier `verify`: its records.json, or the directory that holds it.

    Raises: ValueError if there is no such file, or it is not what `verify` wrote.
    """
    path = Path(path)
    document = read_json(path / "records.json" if path.is_dir() else path)
    hint = "pass the records.json that `icl-theory verify --out` wrote"
    if not isinstance(document, dict) or document.get("format") != FORMAT or "claims" not in document:
        raise checks.error("compare", f"another kind of document in {str(path)!r}", "records of verify", hint)
    if not isinstance(document["claims"], list) or not all(map(_is_claim, document["claims"])):
        raise checks.error("compare", f"damaged claims in {str(path)!r}", "a label and a verdict for each", hint)
    return document


def _is_claim(entry: Any) -> bool:
    """Whether the fields that are compared are there and of their kind."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("label", "verdict")):
        return False
    if not isinstance(entry.get("proved"), bool | None):
        return False
    controls = entry.get("controls")
    return isinstance(controls, list) and all(
        isinstance(c, dict) and isinstance(c.get("name"), str) and isinstance(c.get("caught"), bool) for c in controls
    )


def compare(old: dict[str, Any], new: dict[str, Any], known: Collection[str] | None = None) -> dict[str, Any]:
    """What differs between two documents of `verify`.

    Args: old, new: the documents. known: labels of all claims that there are now; an old claim that is not among them
        is "gone", one that is and was not run is "not_run". None if the claims of the new run were picked by name, so
        that a missing one says nothing.
    Returns: a dictionary: `verdicts` (label, old, new), `new`, `gone` and `not_run` (label, verdict), `controls`
        (label, name, old, new, each "caught", "not caught" or "absent"), `proofs` (label, old, new), `settings`
        (name, old, new), and `same`, the number of claims without any difference.
    """
    before, after = ({claim["label"]: claim for claim in document["claims"]} for document in (old, new))
    both = [label for label in after if label in before]
    missing = [label for label in before if label not in after]
    result: dict[str, Any] = {
        "verdicts": [_changed(label, "verdict", before[label], after[label]) for label in both],
        "new": [_entry(after[label]) for label in after if label not in before],
        "gone": [_entry(before[label]) for label in missing if known is not None and label not in known],
        "not_run": [_entry(before[label]) for label in missing if known is None or label in known],
        "controls": [change for label in both for change in _controls(label, before[label], after[label])],
        "proofs": [_changed(label, "proved", before[label], after[label]) for label in both],
        "settings": _settings(old, new),
    }
    result |= {name: [change for change in result[name] if change is not None] for name in ("verdicts", "proofs")}
    different = {change["label"] for name in ("verdicts", "controls", "proofs") for change in result[name]}
    return result | {"same": len(both) - len(different)}


def _entry(claim: dict[str, Any]) -> dict[str, Any]:
    return {"label": claim["label"], "verdict": claim["verdict"]}


def _changed(label: str, name: str, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any] | None:
    if old.get(name) == new.get(name):
        return None
    return {"label": label, "old": old.get(name), "new": new.get(name)}


def _controls(label: str, old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    before, after = ({unmarked(c["name"]): c["caught"] for c in claim["controls"]} for claim in (old, new))
    marked = {unmarked(c["name"]): c["name"] for claim in (old, new) for c in claim["controls"]}
    return [
        {"label": label, "name": marked[name], "old": _state(before.get(name)), "new": _state(after.get(name))}
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]


def _state(caught: bool | None) -> str:
    return {None: "absent", True: "caught", False: "not caught"}[caught]


def _settings(old: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    """Profile, seed, versions and device where they differ."""
    before, after = ({"profile": d.get("profile"), "seed": d.get("seed"), **_environment(d)} for d in (old, new))
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return [{"name": name, "old": before.get(name), "new": after.get(name)} for name in names]


def _environment(document: dict[str, Any]) -> dict[str, Any]:
    found = document.get("environment")
    return found if isinstance(found, dict) else {}


def summary(found: dict[str, Any]) -> str:
    """How many verdicts have changed, and how many claims are as they were."""
    changed = len(found["verdicts"])
    return f"{changed} verdict{'s' * (changed != 1)} changed, {found['same']} claims the same"
