"""Claims as text for a terminal."""

import math
import textwrap
from collections import Counter
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from icl_theory.core.marks import unmarked
from icl_theory.records.documents import from_plain

COLOURS = {
    "HOLDS": "green",
    "FAILS": "red",
    "DEPENDS": "bold yellow",
    "VACUOUS": "yellow",
    "OUTSIDE": "cyan",
    "INCONCLUSIVE": "magenta",
    "NONFINITE": "bold magenta",
    "ERROR": "bold magenta",
}
"""Colour of a verdict; the word itself always stands next to it."""
_SECTIONS = {"related": "related results", "outside": "claims from elsewhere"}  # that follow those of the paper
NARROW = 100
"""Below this width the small columns are folded into one."""
NARROWEST = 60
"""Below this width there is no table at all: a verdict must never be cut."""


def short(value: Any, digits: int = 3) -> str:
    """A number in a few characters."""
    x = from_plain(value)
    return f"{x:#.{digits}g}".rstrip(".") if math.isfinite(x) else {math.inf: "+inf", -math.inf: "-inf"}.get(x, "nan")


def _distinct_pair(left: Any, sign: str, right: Any) -> str:
    """Two numbers with as many digits as it takes to see the difference."""
    pairs = ((short(left, digits), short(right, digits)) for digits in (3, 5, 8, 12, 17))
    first, second = next((pair for pair in pairs if pair[0] != pair[1]), (short(left), short(right)))
    return f"{first} {sign} {second}"


def evidence_text(claim: dict[str, Any]) -> str:
    """The evidence of one claim's record in a line: how many cases, and the number that decides.

    "worst" is the largest deviation of an equality, "margin" the smallest of an inequality: relative to the size of
    the numbers where they are exact, in standard errors (s.e.) where they are estimated. Of a population the seeds for
    and against are reported, and the mean margin with its interval.

    An error is reported in the words of the exception, with the line it comes from. Formulas keep their marks.
    """
    if claim.get("over_seeds"):
        return _population_text(claim["over_seeds"])
    verdict, evidence = claim["verdict"], claim["evidence"]
    if claim.get("grid"):
        return str(evidence[0]["note"])
    if verdict == "ERROR":
        broken = [item for item in evidence if item["verdict"] == "ERROR"]
        return f"error in {len(broken)}/{len(evidence)} cases; {broken[0]['case']}: {broken[0]['note']}"
    inside = [item for item in evidence if item["verdict"] != "OUTSIDE"]
    same = [item for item in inside if item["verdict"] == verdict]
    total = f"{len(inside)} case" + "s" * (len(inside) != 1)
    if not inside and evidence and evidence[0]["case"] == "these settings":
        return str(evidence[0]["note"])
    if not inside:
        return f"none of {len(evidence)} cases meets the assumptions"
    others = Counter(item["verdict"] for item in evidence if item["verdict"] not in (verdict, "HOLDS"))
    rest = "".join(f"; {count} {name.lower()}" for name, count in others.items())
    if verdict == "VACUOUS" or not same:
        return f"{len(same)}/{total}{_detail(claim, same[0]) if same else ''}{rest}"
    if claim["relation"] in ("never", "exists"):
        seen = sum(from_plain(item["measured"]) == 1.0 for item in inside)
        return f"seen in {seen}/{total}{rest if verdict != 'HOLDS' else ''}"
    sign = -1 if claim.get("refutes") else 1  # of a claim that refutes the case that shows it best
    worst = min(same, key=lambda item: sign * from_plain(item["slack"]) if item["slack"] != "nan" else math.inf)
    wrong = verdict == "FAILS" and not claim.get("refutes")
    seen = verdict == "HOLDS" and bool(claim.get("refutes"))
    words = "false in " if wrong else "seen in " if seen else ""
    return f"{words}{len(same)}/{total}{_detail(claim, worst)}{'' if seen else rest}"


def _population_text(found: dict[str, Any]) -> str:
    mean, low, high = (short(found[name]) for name in ("mean", "low", "high"))
    seeds = f"{found['seeds']} seeds: {found['seeds_for']} for, {found['seeds_against']} against"
    return f"{seeds}, mean margin {mean} ({low} to {high})"


def _detail(claim: dict[str, Any], item: dict[str, Any]) -> str:
    """What is worth saying of the deciding case."""
    slack, stderr = from_plain(item["slack"]), from_plain(item["stderr"])
    sign = {"equal": "!=", "at most": ">", "at least": "<"}.get(claim["relation"], "vs")
    error = f" (±{stderr:.1g})" if stderr > 0 else ""
    if claim["verdict"] in ("HOLDS" if claim.get("refutes") else "FAILS", "NONFINITE"):
        return f", {_distinct_pair(item['measured'], sign, item['predicted'])}{error}"
    if claim["verdict"] == "VACUOUS":
        beyond = f"bound {short(item['predicted'])} beyond the trivial one"
        return "; " + (item["note"] if math.isnan(slack) else beyond)
    if claim["relation"] == "equal":
        return f", worst {abs(slack):.1f} s.e." if stderr > 0 else f", worst {abs(slack):.1g}" if slack else ", exact"
    if stderr > 0:
        return f", margin {slack:.3g} s.e."
    return f", margin {100 * slack:.2g} %" if abs(slack) > 1e-9 else f", tight to {abs(slack):.1g}"


def _controls_text(claim: dict[str, Any]) -> str:
    controls = claim["controls"]
    caught = sum(bool(control["caught"]) for control in controls)
    proved = {True: "\nproved", False: "\nDISPROVED"}.get(claim["proved"], "")
    return (f"{caught}/{len(controls)}" if controls else "none") + proved


def _verdict_text(verdict: str) -> Text:
    return Text(verdict, style=COLOURS.get(verdict, ""))


def claims_table(records: dict[str, Any], width: int = 120) -> Table:
    """One row per claim of a `verify` document: statement, origin, verdict, evidence, controls, informative.

    Args:
        records: as `VerifyResult.records` or read from `records.json`.
        width: in columns; below 100 some are folded.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), leading=1)
    narrow = width < NARROW
    small: dict[str, int] = {} if narrow else {"origin": 8}
    small["verdict"] = max([8, *(len(claim["verdict"]) for claim in records["claims"])])
    # No column but the words may break a line: a broken number or verdict is misread.
    room = width - sum(small.values()) - 9 - 6 - 2 * (len(small) + 3)
    words = max(29, room * 5 // 9)
    table.add_column("statement", width=words, overflow="fold")
    for name, size in small.items():
        table.add_column(name, width=size, no_wrap=True)
    table.add_column("evidence", width=max(12, room - words), overflow="fold")
    table.add_column("controls\ncaught", width=9, no_wrap=True)
    table.add_column("infor-\nmative", width=6, no_wrap=True)
    section = "paper"
    for claim in records["claims"]:
        if claim["section"] != section:
            section = claim["section"]
            table.add_row(Text(_SECTIONS[section], "underline"))
        package = f" ({claim['package']})" if claim.get("package") else ""
        statement = Text.assemble((claim["label"], "bold"), package, "\n", unmarked(claim["statement"]))
        informative = {True: "yes", False: "no", None: "-"}[claim["informative"]]
        verdict = _verdict_text(claim["verdict"])
        middle = [verdict.append(f"\n{claim['origin']}", "default not bold")] if narrow else [claim["origin"], verdict]
        table.add_row(statement, *middle, Text(unmarked(evidence_text(claim))), _controls_text(claim), informative)
    return table


def claims_list(records: dict[str, Any], width: int) -> list[str]:
    """The same without a table, for very narrow terminals: verdict and label first, the rest below."""

    def filled(text: str, indent: str) -> str:
        return textwrap.fill(text, max(width, 20), initial_indent=indent, subsequent_indent=indent)

    lines = []
    for claim in records["claims"]:
        controls = _controls_text(claim).replace("\n", ", ")
        lines += [
            f"{claim['verdict']} {claim['label']}",
            filled(unmarked(claim["statement"]), "  "),
            filled(f"{claim['origin']}; {unmarked(evidence_text(claim))}; controls {controls}", "    "),
            "",
        ]
    return lines


def summary(records: dict[str, Any]) -> str:
    """One line: how many claims met which verdict, how many controls were caught, where and in what time."""
    claims = records["claims"]
    counts = Counter(claim["verdict"] for claim in claims)
    controls = [control for claim in claims for control in claim["controls"]]
    verdicts = ", ".join(f"{counts[name]} {name}" for name in COLOURS if counts[name])
    caught = sum(bool(control["caught"]) for control in controls)
    place, settings = records["environment"]["device"], records.get("settings")
    seconds, where = from_plain(records["seconds"]), f"{settings['words']}, " if settings else ""
    return (
        f"{len(claims)} claim{'s' * (len(claims) != 1)}: {verdicts}; {caught}/{len(controls)} controls caught; "
        f"{where}profile {records['profile']}, seed {records['seed']}, on {place}, {seconds:.1f} s"
    )
