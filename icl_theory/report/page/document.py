"""report.html: a run of `verify` as one page that needs nothing but itself.

Everything is read from the records; nothing is computed. Every text is escaped on its way in (`markup`), and a policy
in the page forbids the browser to load anything or to run any script but the one written here.
"""

import base64
import hashlib
import html
import re
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from icl_theory.records.documents import number
from icl_theory.report.page.changes import changes_section
from icl_theory.report.page.claim import (
    ORIGINS,
    SHELVES,
    VERDICT_SIGNS,
    finding,
    proof_words,
    sheet,
    title,
    verdict_badge,
)
from icl_theory.report.page.elements import Markup, joined, tag
from icl_theory.report.page.formulas import sentence
from icl_theory.report.page.math_font import face
from icl_theory.report.page.plots import key
from icl_theory.report.page.sweep import sweep_section

_VERSIONS = {"icl_theory": "icl_theory version", "devices": "number of devices"}


def page(records: dict[str, Any], changes: dict[str, Any] | None = None) -> str:
    """The document of `verify` as HTML text.

    Args: records: as `Report.records`, or read from records.json. changes: since another run, from `compare.compare`.
    """
    script = _asset("page.js")
    body = _body(records, changes, script)
    style = Markup(face(_signs(body)) + _asset("page.css"))
    policy = (
        f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; font-src data:; base-uri 'none'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"icl_theory: the ledger, {records['profile']} profile, seed {records['seed']}"),
        tag("style", style),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _body(records: dict[str, Any], changes: dict[str, Any] | None, script: Markup) -> Markup:
    claims, sweep = records["claims"], records["sweep"]
    since = None if changes is None else changes_section(changes, {claim["label"] for claim in claims})
    sections = (since, _ledger(claims), _sheets(records), sweep_section(sweep), _environment(records))
    return tag(
        "body",
        tag("a", "Skip to the ledger", href="#all-statements", class_="skip"),
        _masthead(records),
        tag("main", *sections),
        tag("script", script),
    )


def _signs(body: Markup) -> str:
    """Every sign of every formula, in order and once."""
    formulas = "".join(re.findall("<math.*?</math>", body, re.DOTALL))
    return "".join(sorted(set(html.unescape(re.sub("<[^>]*>", "", formulas)))))


def _asset(name: str) -> Markup:
    """A file that is shipped with the package; its text is ours, so it goes in as it is."""
    return Markup(files("icl_theory.report").joinpath("assets", name).read_text(encoding="utf-8"))


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}'"


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'s' * (count != 1)}"


def _masthead(records: dict[str, Any]) -> Markup:
    claims = records["claims"]
    controls = [control for claim in claims for control in claim["controls"]]
    caught = sum(control["caught"] for control in controls)
    derived = [claim["proved"] for claim in claims if claim["proved"] is not None]
    examples = sum(len(claim["counterexamples"]) for claim in claims)
    unsound = [claim["label"] for claim in claims if not claim["sound"]]
    facts = (
        ("controls caught", f"{caught} of {len(controls)}"),
        ("derivations true", f"{sum(derived)} of {len(derived)}"),
        ("counterexamples kept", str(examples)),
        ("the run is", "sound" if not unsound else f"not sound: {', '.join(unsound)}"),
    )
    listed = tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in facts), class_="facts")
    version, profile = records["environment"]["icl_theory"], records["profile"]
    return tag(
        "header",
        tag("p", f"icl_theory {version} · {profile} profile · seed {records['seed']}", class_="overline"),
        tag("h1", "The ledger"),
        tag("p", _lede(claims), class_="lede"),
        _bar(claims),
        listed,
        class_="masthead",
    )


def _lede(claims: Sequence[dict[str, Any]]) -> str:
    return (
        f"{_plural(len(claims), 'statement')} about in-context learning, each checked in this run on random, "
        "constructed, trained or truncated weights, and each with spoilt versions that the same check had to tell "
        "from it. Every verdict was computed from the numbers below. Y is the paper arXiv:2406.03768v2; “as printed” "
        "is its wording, “repaired” the nearest statement that can be defended, “new” neither."
    )


def _bar(claims: Sequence[dict[str, Any]]) -> Markup:
    """The verdicts as one bar, in proportion, with a legend in words."""
    counts = Counter(claim["verdict"] for claim in claims)
    names = [name for name in VERDICT_SIGNS if counts[name]]
    at, boxes = 0.0, []
    for name in names:
        width = 1000 * counts[name] / len(claims)
        place = {"x": f"{at:.2f}", "y": "0", "width": f"{width:.2f}", "height": "10"}
        boxes.append(tag("rect", **place, class_=f"fill v-{name.lower()}"))
        at += width
    words = ", ".join(f"{counts[name]} {VERDICT_SIGNS[name][1]}" for name in names)
    svg = tag("svg", *boxes, viewBox="0 0 1000 10", preserveAspectRatio="none", role="img", aria_label=words)
    legend = [tag("li", tag("b", str(counts[name])), " ", verdict_badge(name)) for name in names]
    return tag("div", svg, tag("ul", *legend), class_="bar")


def _ledger(claims: Sequence[dict[str, Any]]) -> Markup:
    heads = ("", "statement", "verdict", "evidence", "controls")
    names = [name or tag("span", "number", class_="unseen") for name in heads]
    # The roles say once more what the elements say: on a phone the rows are laid out as blocks, which hides it.
    head = tag("tr", *(tag("th", name, scope="col", role="columnheader") for name in names), role="row")
    caption = tag("caption", "All statements, shelf by shelf", class_="unseen")
    placed = list(enumerate(claims, 1))
    bodies = [
        _shelf(words, [(place, claim) for place, claim in placed if claim["shelf"] == name])
        for name, (_, words) in SHELVES.items()
    ]
    table = tag("table", caption, tag("thead", head, role="rowgroup"), *bodies, role="table")
    heading = tag("h2", "All statements")
    return tag("section", heading, _filters(claims), table, id="all-statements", class_="ledger", tabindex="-1")


def _shelf(words: str, placed: Sequence[tuple[int, dict[str, Any]]]) -> Markup | None:
    """A heading and the rows below it; nothing for an empty shelf."""
    if not placed:
        return None
    heading = tag("tr", tag("th", words, colspan="5", scope="rowgroup", role="rowheader"), role="row", class_="heading")
    return tag("tbody", heading, *(_row(claim, place) for place, claim in placed), role="rowgroup", class_="shelf")


def _row(claim: dict[str, Any], place: int) -> Markup:
    caught, total = sum(c["caught"] for c in claim["controls"]), len(claim["controls"])
    origin = tag("span", ORIGINS.get(claim["printed"], claim["printed"]), class_="origin")
    name = tag("a", title(claim["label"]), href=f"#{claim['label']}")
    package = tag("span", "from ", claim["package"], class_="package") if claim["package"] else None
    words = sentence(claim["statement"])
    proof = tag("span", proof_words(claim), class_="proof") if claim["proved"] is not None else None
    return tag(
        "tr",
        tag("td", str(place), class_="place", role="cell"),
        tag("th", name, " ", origin, " ", package, tag("p", words), scope="row", role="rowheader"),
        tag("td", verdict_badge(claim["verdict"]), role="cell"),
        tag("td", finding(claim), role="cell"),
        tag("td", f"{caught}/{total}", tag("span", " controls caught", class_="narrow"), " ", proof, role="cell"),
        role="row",
        data_verdict=claim["verdict"],
        data_origin=claim["printed"],
        data_shelf=claim["shelf"],
    )


def _filters(claims: Sequence[dict[str, Any]]) -> Markup:
    """Buttons that hide and show; they work by the script, and without it they are not shown."""
    verdicts = Counter(claim["verdict"] for claim in claims)
    origins = Counter(claim["printed"] for claim in claims)
    shelves = Counter(claim["shelf"] for claim in claims)
    groups = (
        ("verdict", [(name, words, verdicts[name]) for name, (_, words) in VERDICT_SIGNS.items() if verdicts[name]]),
        ("origin", [(name, words, origins[name]) for name, words in ORIGINS.items() if origins[name]]),
        ("shelf", [(name, words, shelves[name]) for name, (words, _) in SHELVES.items() if shelves[name]]),
    )
    sets = [
        tag("fieldset", tag("legend", kind), *(_button(kind, *option) for option in options))
        for kind, options in groups
    ]
    clear = tag("button", "show all", type="button", id="show-all", disabled=True)
    status = tag("p", f"{_plural(len(claims), 'statement')} shown", id="shown-now", role="status")
    last = tag("div", clear, status, class_="status")
    return tag("div", *sets, last, class_="filters", role="group", aria_label="Filters")


def _button(kind: str, value: str, words: str, count: int) -> Markup:
    label = joined(words, " ", tag("span", str(count), class_="count"))
    name = f"v-{value.lower()}" if kind == "verdict" else None
    return tag("button", label, type="button", aria_pressed="false", data_kind=kind, data_value=value, class_=name)


def _sheets(records: dict[str, Any]) -> Markup:
    z = number(records["standard_errors"])
    sheets = [sheet(claim, place, z) for place, claim in enumerate(records["claims"], 1)]
    seen = {item["verdict"] for claim in records["claims"] for item in claim["evidence"]}
    return tag("section", tag("h2", "One by one"), key(sorted(seen)), *sheets, class_="sheets")


def _environment(records: dict[str, Any]) -> Markup:
    seeds = {item["seed"] for claim in records["claims"] for item in claim["evidence"]}
    facts = {
        "profile": records["profile"],
        "seed of the run": records["seed"],
        "seeds of the cases": f"{len(seeds)}, each listed with its case",
        "standard errors demanded": f"{number(records['standard_errors']):g}",
        "seconds": f"{number(records['seconds']):.1f}",
        **{_VERSIONS.get(name, name): value for name, value in records["environment"].items()},
    }
    rows = (tag("div", tag("dt", name), tag("dd", value)) for name, value in facts.items())
    json, csv = (tag("a", tag("code", name), href=name) for name in ("records.json", "records.csv"))
    again = tag("code", f"icl-theory verify --profile {records['profile']} --seed {records['seed']}")
    words = ("The same numbers lie beside this page in ", json, " and ", csv, ". The same cases again: ", again, ".")
    return tag("section", tag("h2", "Environment and seeds"), tag("dl", *rows), tag("p", *words), class_="environment")
