"""report.html: a run of `verify` as one page that needs nothing but itself.

Everything is read from the records; nothing is computed. Every text is escaped on its way into the templates, and a
policy in the page forbids the browser to load anything or to run any script but the one written here.
"""

from typing import Any

from icl_theory.records.documents import from_plain
from icl_theory.report.page import assets, ledger
from icl_theory.report.page.changes import changes_view
from icl_theory.report.page.claim import claim_view
from icl_theory.report.page.plots import key
from icl_theory.report.page.sweep import sweep_view
from icl_theory.report.page.templates import filled

_VERSIONS = {"icl_theory": "icl_theory version", "devices": "number of devices"}


def page(records: dict[str, Any], changes: dict[str, Any] | None = None) -> str:
    """The document of `verify` as HTML text.

    Args:
        records: as `VerifyResult.records`, or read from records.json.
        changes: since another run, from `records.compare.compare`.
    """
    z = from_plain(records["standard_errors"])
    claims = [claim_view(claim, place, z) for place, claim in enumerate(records["claims"], 1)]
    style, script = assets.style(), assets.script()
    text = filled(
        "page.html",
        run=records,
        claims=claims,
        style=style,
        script=script,
        policy=_policy(style, script),
        totals=ledger.totals(claims),
        bar=ledger.bar(claims),
        sections=ledger.sections(claims),
        filters=ledger.filters(claims),
        changes=changes_view(changes, {claim["label"] for claim in claims}),
        key=key(sorted({item["verdict"] for claim in claims for item in claim["evidence"]})),
        sweep=sweep_view(records["sweep"]),
        environment=_environment(records),
    )
    return f"{text}\n"


def _policy(style: str, script: str) -> str:
    """Nothing but this style, this script and the font within the style."""
    allowed = f"style-src {assets.digest(style)}; script-src {assets.digest(script)}; font-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'"


def _environment(records: dict[str, Any]) -> dict[str, Any]:
    """What else a reader needs to make the same numbers again, by name."""
    seeds = {item["seed"] for claim in records["claims"] for item in claim["evidence"]}
    found: dict[str, Any] = records["environment"]
    versions = {_VERSIONS.get(name, name): value for name, value in found.items()}
    return {
        "profile": records["profile"],
        "seed of the run": records["seed"],
        "seeds of the cases": f"{len(seeds)}, each listed with its case",
        "standard errors demanded": f"{from_plain(records['standard_errors']):g}",
        "seconds": f"{from_plain(records['seconds']):.1f}",
        **versions,
    }
