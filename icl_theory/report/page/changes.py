"""The page's section on another run: which verdicts, controls and derivations came out differently."""

from collections.abc import Collection, Sequence
from typing import Any

from icl_theory.records.compare import summary
from icl_theory.report.page.claim import title, verdict_badge
from icl_theory.report.page.elements import Markup, joined, tag
from icl_theory.report.page.formulas import sentence

_DERIVED = {True: "true", False: "FALSE", None: "none"}
_MISSING = (("new", "New"), ("gone", "No longer there"), ("not_run", "Not examined this time"))


def changes_section(found: dict[str, Any], labels: Collection[str]) -> Markup:
    """What `compare.compare` found, as a section.

    Args: found: the comparison. labels: of the claims that are on the page, to which a name can lead.
    """

    def name(entry: dict[str, Any]) -> Markup:
        words = title(entry["label"])
        return tag("a", words, href=f"#{entry['label']}") if entry["label"] in labels else tag("span", words)

    return tag(
        "section",
        tag("h2", "Since another run"),
        tag("p", summary(found), "."),
        _verdicts(found["verdicts"], name),
        _list("Controls", [joined(name(c), ", “", sentence(c["name"]), "”: ", _turn(c)) for c in found["controls"]]),
        _list("Derivations", [joined(name(c), ": ", _turn(c, _DERIVED)) for c in found["proofs"]]),
        *(
            _list(heading, [joined(name(entry), " ", verdict_badge(entry["verdict"])) for entry in found[kind]])
            for kind, heading in _MISSING
        ),
        _list("Settings", [joined(c["name"], ": ", _turn(c)) for c in found["settings"]]),
        class_="changes",
        id="changes",
    )


def _verdicts(changes: Sequence[dict[str, Any]], name: Any) -> Markup | None:
    """A table of the claims whose verdict has changed; nothing where none has."""
    if not changes:
        return None
    head = tag("tr", *(tag("th", words, scope="col") for words in ("statement", "then", "now")))
    rows = [
        tag("tr", tag("th", name(c), scope="row"), *(tag("td", verdict_badge(c[when])) for when in ("old", "new")))
        for c in changes
    ]
    caption = tag("caption", "Verdicts that have changed", class_="unseen")
    return tag("table", caption, tag("thead", head), tag("tbody", *rows))


def _turn(change: dict[str, Any], words: dict[Any, str] | None = None) -> str:
    """The old value, an arrow, the new one."""
    old, new = (change[when] if words is None else words[change[when]] for when in ("old", "new"))
    return f"{old} → {new}"


def _list(heading: str, items: Sequence[Markup]) -> Markup | None:
    """A heading and a list; nothing where there is nothing to list."""
    if not items:
        return None
    return joined(tag("h3", heading), tag("ul", *(tag("li", item) for item in items)))
