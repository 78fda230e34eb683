"""One claim of the page: statement, assumptions, evidence, controls, proof, counterexamples, source."""

import json
import math
from typing import Any

from icl_theory.records.documents import number
from icl_theory.report.page.axes import spelled, typeset
from icl_theory.report.page.elements import Markup, joined, tag
from icl_theory.report.page.formulas import sentence
from icl_theory.report.page.plots import evidence_figures
from icl_theory.report.terminal.explain import POPULATION_IN_WORDS, RELATION_IN_WORDS
from icl_theory.report.terminal.tables import evidence_text

VERDICT_SIGNS = {
    "HOLDS": ("✓", "holds"),
    "FAILS": ("✗", "fails"),
    "VACUOUS": ("∅", "vacuous"),
    "OUTSIDE": ("○", "outside"),
    "INCONCLUSIVE": ("?", "inconclusive"),
    "NONFINITE": ("!", "not finite"),
    "ERROR": ("!!", "error"),
}
"""Sign and words of a verdict; colour only repeats them."""
ORIGINS = {"printed": "as printed", "repaired": "repaired", "new": "new"}
SHELVES = {
    "paper": ("the paper", "The paper's statements, in its order, with their repairs and what is new about them"),
    "related": ("related results", "Related results that the paper, or an answer to it, stands on"),
    "outside": ("other packages", "Claims of other packages"),
}
"""Words of a shelf for a button, and for the heading above its statements."""
_NAMES = {"mlp": "MLP", "gd": "GD", "relu": "ReLU"}
_MATRICES = {"value": "W_V", "key": "W_K", "query": "W_Q"}


def title(label: str) -> str:
    """The label as a heading: theorem_2_repaired becomes Theorem 2 repaired."""
    words = label.replace("_", " ").strip()
    words = words[:1].upper() + words[1:]
    return " ".join(_NAMES.get(word.lower(), word) for word in words.split())


def verdict_badge(verdict: str) -> Markup:
    sign, words = VERDICT_SIGNS.get(verdict, ("!", verdict.lower()))
    name = f"verdict v-{verdict.lower()}" if verdict in VERDICT_SIGNS else "verdict"
    return tag("span", tag("span", sign, aria_hidden="true"), " ", words, class_=name)


def finding(claim: dict[str, Any]) -> Markup:
    """The evidence in a line, as in the terminal, with the signs that a page can show."""
    return sentence(typeset(evidence_text(claim)))


def proof_words(claim: dict[str, Any]) -> str:
    return {True: "proved", False: "derivation FALSE"}.get(claim["proved"], "")


def sheet(claim: dict[str, Any], place: int, z: float) -> Markup:
    """The article of one claim. Args: claim: an entry of `claims` in records.json. place: its number. z: see plots."""
    text = tag(
        "div",
        tag("p", sentence(claim["statement"], display=True), class_="statement"),
        tag("p", finding(claim), ".", class_="finding"),
        _explanation(claim),
        tag("div", _assumptions(claim), _controls(claim), _proof(claim), class_="columns"),
        *(_counterexample(found, claim) for found in claim["counterexamples"]),
        _evidence(claim, z),
        class_="body",
    )
    return tag(
        "article",
        _header(claim, place),
        text,
        class_=f"claim v-{claim['verdict'].lower()}",
        id=claim["label"],
        data_verdict=claim["verdict"],
        data_origin=claim["printed"],
        data_shelf=claim["shelf"],
        aria_labelledby=f"{claim['label']}.title",
    )


def _header(claim: dict[str, Any], place: int) -> Markup:
    package = tag("span", "from ", claim["package"], class_="package") if claim["package"] else None
    unsound = None if claim["sound"] else tag("span", "not sound", class_="unsound")
    meta = [tag("span", ORIGINS.get(claim["printed"], claim["printed"])), tag("span", claim["source"]), package]
    return tag(
        "header",
        tag("p", str(place), class_="place", aria_hidden="true"),
        tag("h3", title(claim["label"]), id=f"{claim['label']}.title"),
        tag("p", verdict_badge(claim["verdict"]), unsound, _flip(claim), class_="outcome"),
        tag("p", *meta, tag("code", claim["label"]), class_="meta"),
    )


def _flip(claim: dict[str, Any]) -> Markup | None:
    """That the verdict is not the known one, and what that means; nothing where it is."""
    words = {"regression": "a regression of this package", "changed": "another finding than before"}.get(claim["flip"])
    return tag("span", f"known to be {claim['expected']}: {words}", class_="unsound") if words else None


def _explanation(claim: dict[str, Any]) -> Markup:
    told = ("Measured", claim["measures"]), ("Predicted", claim["predicts"] or _constant(claim))
    roads = [tag("li", tag("b", name), ": ", sentence(words)) for name, words in told if words]
    holds = f" The statement holds if {RELATION_IN_WORDS.get(claim['relation'], claim['relation'])}."
    holds += f" {POPULATION_IN_WORDS}" if claim["population"] else ""
    text = tag("p", sentence(claim["explanation"]), holds)
    return tag("div", text, tag("ul", *roads) if roads else None, class_="explanation")


def _constant(claim: dict[str, Any]) -> str:
    """What is predicted, where it is one number in all cases."""
    values = {number(item["predicted"]) for item in claim["evidence"]}
    values = {value for value in values if not math.isnan(value)}
    return f"{spelled(values.pop())} in every case." if len(values) == 1 else ""


def _block(heading: str, *content: object) -> Markup:
    return tag("section", tag("h4", heading), *content)


def _assumptions(claim: dict[str, Any]) -> Markup:
    if not claim["assumptions"]:
        return _block("Assumptions", tag("p", "None beyond the shapes."))
    return _block("Assumptions", tag("ul", *(_assumption(a, len(claim["evidence"])) for a in claim["assumptions"])))


_COUNTED = (("held", "held"), ("broken", "broken"), ("unattainable", "can be met by no data of that shape"))


def _assumption(assumption: dict[str, Any], total: int) -> Markup:
    counts = [f"{words} in {assumption[name]} of {total} cases" for name, words in _COUNTED if assumption[name]]
    met = assumption["held"] == total
    words = "; ".join(counts) or "never looked at"
    return tag("li", sentence(assumption["sentence"]), ": ", tag("b", words, class_=None if met else "broken"), ".")


def _controls(claim: dict[str, Any]) -> Markup:
    if not claim["controls"]:
        return _block("Negative controls", tag("p", "None, so that nothing shows that this check can fail."))
    rows = [tag("li", *_control(c), class_=None if c["caught"] else "broken") for c in claim["controls"]]
    return _block("Negative controls", tag("ul", *rows, class_="controls"))


def _control(control: dict[str, Any]) -> tuple[object, ...]:
    """A control's name, what the check said of it, and whether that is what it had to say."""
    sign = tag("span", "✓ " if control["caught"] else "✗ ", aria_hidden="true")
    said = f": {control['verdict']}, as it must" if control["caught"] else ""
    if not control["caught"]:
        said = f": slipped through, {control['verdict']} where {control['expected']} was due"
        said += f"; {control['note']}" if control["note"] else ""
    return sign, sentence(control["name"]), said


def _proof(claim: dict[str, Any]) -> Markup:
    if claim["proved"] is None:
        return _block("Derivation", tag("p", "None in symbols; the evidence is numerical."))
    result = "Run along with the check, and true." if claim["proved"] else "Run along with the check, and FALSE."
    result = f"Ended by {claim['proof_note']}." if claim["proof_note"] else result
    words = joined(sentence(claim["proof"]), " ") if claim["proof"] else None
    return _block("Derivation", tag("p", words, tag("b", result, class_=None if claim["proved"] else "broken")))


def _counterexample(found: dict[str, Any], claim: dict[str, Any]) -> Markup:
    """The numbers of a counterexample, its exact form where there is one, the whole document, and how to recheck it."""
    document = found["document"]
    sign = {"equal": "≠", "at most": ">", "at least": "<"}.get(document["relation"], "against")
    error = number(document["stderr"])
    measured, predicted = (spelled(number(document[name]), 6) for name in ("measured", "predicted"))
    margin = f" (± {spelled(error, 2)})" if error > 0 else ""
    text = f"In the case “{document['case']['name']}”: measured {measured} {sign} {predicted} predicted{margin}."
    if document["others"]:
        text = f"The file holds all {len(document['others']) + 1} seeds; the one that speaks most against it: {text}"
        document = document | {"others": [other["name"] for other in document["others"]]}  # the file has them in full
    link = tag("a", tag("code", found["file"]), href=found["file"])
    return tag(
        "section",
        tag("h4", "Counterexample"),
        tag("p", text),
        _exact(document["exact"], found["exact_confirmed"]),
        tag("p", "To verify it from its file alone: ", tag("code", "icl-theory recheck"), " ", link, "."),
        tag(
            "details",
            tag("summary", "The whole document"),
            tag("pre", json.dumps(document, ensure_ascii=False), tabindex="0"),
        ),
        class_="counterexample",
        aria_label=f"Counterexample to {claim['label']}",
    )


def _exact(exact: Any, confirmed: bool | None) -> Markup | None:
    if not isinstance(exact, dict):
        return None
    parts = [tag("span", _named(name, value), " ") for name, value in exact.items()]
    result = {True: "it breaks the statement", False: "it does NOT break the statement", None: "not checked"}[confirmed]
    words = tag("p", "A small one in whole numbers; in exact arithmetic ", tag("b", result), ":")
    return tag("div", words, tag("p", *parts, class_="matrices"))


def _named(name: str, value: Any) -> Markup:
    """name = value, with whole numbers in rows as a matrix."""
    rows = value if isinstance(value, list) else [value]
    rows = rows if all(isinstance(row, list) for row in rows) else [rows]
    numbers = [entry for row in rows for entry in row]
    if not numbers or not all(isinstance(entry, int) for entry in numbers):
        return tag("code", f"{name} = {json.dumps(value, ensure_ascii=False)}")
    symbol = sentence(_MATRICES[name]) if name in _MATRICES else tag("math", tag("mtext", name))
    cells = [tag("mtr", *(tag("mtd", _whole(entry)) for entry in row)) for row in rows]
    matrix = tag("mrow", tag("mo", "("), tag("mtable", *cells), tag("mo", ")"))
    right = matrix if isinstance(value, list) else _whole(value)
    return joined(symbol, tag("math", tag("mo", "=", form="infix"), right))


def _whole(value: int) -> Markup:
    return tag("mn", str(value).replace("-", "−"))


def _evidence(claim: dict[str, Any], z: float) -> Markup:
    figures = [tag("figure", svg, tag("figcaption", text)) for svg, text in evidence_figures(claim, z)]
    plots = tag("div", *figures, class_="figures") if figures else tag("p", "No case has a number to draw.")
    summary = tag("summary", f"All {len(claim['evidence'])} cases in numbers")
    table = tag("div", _cases(claim), class_="scroll", tabindex="0", role="region", aria_label="Cases in numbers")
    return tag(
        "section", tag("h4", "Evidence"), _population(claim), plots, tag("details", summary, table), class_="evidence"
    )


def _population(claim: dict[str, Any]) -> Markup | None:
    """The interval over seeds, for a statement about a population."""
    found = claim["population"]
    if not found:
        return None
    mean, error, low, high, quantile = (
        spelled(number(found[name]), 3) for name in ("mean", "stderr", "low", "high", "quantile")
    )
    interval = f"{mean} ± {quantile} × {error}, from {low} to {high}"
    counts = f"{found['seeds_for']} of {found['seeds']} seeds for the statement, {found['seeds_against']} against it"
    chance = f"{number(found['chance']):.1%} on each side"
    return tag("p", f"Mean margin over seeds: {interval} (Student, {chance}); {counts}.")


_DIGITS = (("measured", 6), ("predicted", 6), ("slack", 3))


def _cases(claim: dict[str, Any]) -> Markup:
    heads = ("case", "verdict", "measured", "predicted", "slack", "s.e.", "seed")
    notes = any(item["note"] for item in claim["evidence"])
    head = tag("tr", *(tag("th", name, scope="col") for name in (*heads, *(["note"] if notes else []))))
    rows = []
    for item in claim["evidence"]:
        numbers = [spelled(number(item[name]), digits) for name, digits in _DIGITS]
        error = spelled(number(item["stderr"]), 2) if number(item["stderr"]) > 0 else "exact"
        cells = [tag("td", item["verdict"]), *(tag("td", text) for text in (*numbers, error, str(item["seed"])))]
        note = [tag("td", sentence(item["note"]))] if notes else []
        rows.append(tag("tr", tag("th", item["case"], scope="row"), *cells, *note))
    return tag("table", tag("thead", head), tag("tbody", *rows))
