"""How often does the ledger err? False alarms on true statements and misses on spoilt ones, over many seeds.

python experiments/false_alarms.py --out runs/false_alarms --seeds 20 --untrained
python experiments/false_alarms.py --out runs/false_alarms --seeds 40 --untrained   # goes on where it stopped

One line of `campaign.jsonl` per seed and claim, written as soon as it is known; a run that was broken off goes on
after the last whole line. What a claim should say is its verdict under the first seed, if that is a decision; what a
control should say is written in the claim.

* false alarm: a case of a claim that should hold, or a control that should hold, comes out as FAILS;
* miss: a claim that should fail, or a control that should fail, does not;
* undecided: INCONCLUSIVE or NONFINITE, which is neither.

A control that had no case (OUTSIDE), as those on trained models with --untrained, is not counted.

Intervals are Clopper and Pearson's at 95 %.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from icl_theory.claims import load_all
from icl_theory.claims.base import Claim
from icl_theory.claims.cases import PROFILES, Case, Workshop
from icl_theory.claims.outcome import Outcome, examine
from icl_theory.report.console import LiveProgress
from icl_theory.report.records import plain, write_json

FORMAT = 1
UNDECIDED = ("INCONCLUSIVE", "NONFINITE")


class Untrained(Workshop):
    """Random and constructed weights only; claims about trained models then have no case and are left out."""

    def _trained(self, layers: int, hidden: int) -> list[Case]:
        del layers, hidden
        return []


def line(outcome: Outcome, seed: int) -> dict[str, Any]:
    """What the campaign keeps of one outcome."""
    return {
        "seed": seed,
        "claim": outcome.claim.label,
        "relation": outcome.claim.relation,
        "population": outcome.claim.population,
        "verdict": str(outcome.verdict),
        "cases": dict(Counter(str(item.verdict) for item in outcome.evidence)),
        "statistical": outcome.claim.population or any(item.stderr > 0 for item in outcome.evidence),
        "controls": [[c.name, str(c.verdict), str(c.expected)] for c in outcome.controls],
        "proved": outcome.proved,
    }


def read(path: Path, setting: dict[str, Any]) -> list[dict[str, Any]]:
    """The whole lines of an earlier campaign; a last line that was broken off is cut away.

    Raises: ValueError if the file is of another campaign, or holds something else.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(setting) + "\n", encoding="utf-8")
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    try:
        first, *lines = (json.loads(row) for row in whole.splitlines())
    except ValueError as error:
        raise ValueError(f"{path}: got {error}, expected JSON lines; choose another --out.") from None
    if first != setting:
        raise ValueError(f"{path}: got a campaign of {first}, expected {setting}; choose another --out.")
    return lines


def campaign(
    path: Path, claims: list[Claim], seeds: Iterable[int], *, profile: str, untrained: bool, progress: Any = None
) -> list[dict[str, Any]]:
    """Examine every claim under every seed that `path` does not hold yet; all lines, old and new."""
    lines = read(path, {"format": FORMAT, "profile": profile, "untrained": untrained})
    done = {(row["seed"], row["claim"]) for row in lines}
    seeds = list(seeds)
    with path.open("a", encoding="utf-8") as file:
        for number, seed in enumerate(seeds):
            left = [claim for claim in claims if (seed, claim.label) not in done]
            workshop = (Untrained if untrained else Workshop)(PROFILES[profile], seed)
            for claim in left:
                if progress is not None:
                    progress(f"seed {seed}: {claim.label}", number, len(seeds))
                if not claim.cases(workshop):
                    continue
                row = plain(line(examine(claim, workshop), seed))
                file.write(json.dumps(row) + "\n")
                file.flush()
                lines.append(row)
    return lines


def rate(errors: int, runs: int) -> dict[str, Any]:
    """An error rate with its Clopper-Pearson interval at 95 %; nothing known without runs."""
    if runs == 0:
        return {"errors": 0, "runs": 0, "rate": None, "interval": None}
    interval = binomtest(errors, runs).proportion_ci(0.95, method="exact")
    return {"errors": errors, "runs": runs, "rate": errors / runs, "interval": [interval.low, interval.high]}


def tally(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """False alarms, misses and undecided checks of one claim, from its lines; the first seed is the reference."""
    reference = min(rows, key=lambda row: row["seed"])
    rows = [row | {"controls": [c for c in row["controls"] if c[1] != "OUTSIDE"]} for row in rows]
    # Of a population the seeds decide together: one check, whatever they show one by one.
    rows = [row | ({"cases": {row["verdict"]: 1}} if row.get("population") else {}) for row in rows]
    alarms = alarm_runs = misses = miss_runs = undecided = checks = 0
    for row in rows:
        total = sum(row["cases"].values())
        checks += total + len(row["controls"])
        undecided += sum(row["cases"].get(name, 0) for name in UNDECIDED)
        undecided += sum(verdict in UNDECIDED for _, verdict, _ in row["controls"])
        if reference["verdict"] in UNDECIDED:
            pass
        elif reference["verdict"] == "FAILS":
            misses, miss_runs = misses + (row["verdict"] != "FAILS"), miss_runs + 1
        elif row["relation"] == "exists":
            # One case is enough for such a statement, so it is judged as a whole.
            alarms, alarm_runs = alarms + (row["verdict"] == "FAILS"), alarm_runs + 1
        else:
            alarms, alarm_runs = alarms + row["cases"].get("FAILS", 0), alarm_runs + total
        for _, verdict, expected in row["controls"]:
            if expected == "FAILS":
                misses, miss_runs = misses + (verdict != "FAILS"), miss_runs + 1
            else:
                alarms, alarm_runs = alarms + (verdict == "FAILS"), alarm_runs + 1
    return {
        "claim": reference["claim"],
        "verdict": reference["verdict"],
        "verdicts": dict(Counter(row["verdict"] for row in rows)),
        "statistical": any(row["statistical"] for row in rows),
        "seeds": len(rows),
        "false_alarms": rate(alarms, alarm_runs),
        "misses": rate(misses, miss_runs),
        "undecided": rate(undecided, checks),
        "unproved": sum(row["proved"] is False for row in rows),
    }


def summary(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Every claim's tally in the order of the file, and the totals of exact and of statistical claims."""
    by_claim: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in lines:
        by_claim[row["claim"]].append(row)
    tallies = [tally(rows) for rows in by_claim.values()]
    totals = {}
    for kind, statistical in (("exact", False), ("statistical", True)):
        chosen = [t for t in tallies if t["statistical"] == statistical]
        totals[kind] = {
            name: rate(sum(t[name]["errors"] for t in chosen), sum(t[name]["runs"] for t in chosen))
            for name in ("false_alarms", "misses", "undecided")
        } | {"claims": len(chosen)}
    return {"claims": tallies, "totals": totals}


def _cell(found: dict[str, Any]) -> str:
    if found["interval"] is None:
        return f"{'-':>24}"
    return f"{found['errors']:>5}/{found['runs']:<6} ≤ {found['interval'][1]:8.2%}"


def table(document: dict[str, Any]) -> str:
    """Errors over runs, with the upper end of the interval."""
    rows = [f"{'claim':30}{'verdict':10}{'seeds':>6}  {'false alarms':24}  {'misses':24}  {'undecided':24}"]
    for found in document["claims"]:
        cells = "  ".join(_cell(found[name]) for name in ("false_alarms", "misses", "undecided"))
        rows.append(f"{found['claim']:30}{found['verdict']:10}{found['seeds']:>6}  {cells}")
    for kind, found in document["totals"].items():
        cells = "  ".join(_cell(found[name]) for name in ("false_alarms", "misses", "undecided"))
        rows.append(f"{'all ' + kind:40}{found['claims']:>6}  {cells}")
    return "\n".join(rows)


def main() -> int:
    """Run or continue a campaign, write `summary.json`, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/false_alarms"), help="folder of the campaign")
    parser.add_argument("--seeds", type=int, default=20, help="seeds 0, 1, ... up to this number")
    parser.add_argument("--claims", nargs="*", help="labels; all if left out")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="quick")
    parser.add_argument("--untrained", action="store_true", help="random and constructed weights only: no training")
    arguments = parser.parse_args()
    try:
        claims = load_all(arguments.claims)
        with LiveProgress() as progress:
            lines = campaign(
                arguments.out / "campaign.jsonl",
                claims,
                range(arguments.seeds),
                profile=arguments.profile,
                untrained=arguments.untrained,
                progress=progress,
            )
    except ValueError as error:
        parser.error(str(error))
    document = summary(lines)
    print(write_json(arguments.out / "summary.json", plain(document)), file=sys.stderr)
    print(table(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
