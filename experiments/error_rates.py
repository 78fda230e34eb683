"""Error rates of a campaign (`false_alarms.py`) from its lines, with intervals.

* false alarm: a case of a claim that should hold, or a control that should hold, comes out as FAILS;
* miss: a claim that should fail, or a control that should fail, does not;
* undecided: INCONCLUSIVE or NONFINITE, which is neither.

A control that had no case (OUTSIDE), as those on trained models with --untrained, is not counted.

Intervals are Clopper and Pearson's at 95 %.
"""

from collections import Counter, defaultdict
from typing import Any

from scipy.stats import binomtest

UNDECIDED = ("INCONCLUSIVE", "NONFINITE", "ERROR")


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
