"""Writes docs/findings.md and experiments/README.md from records: every number there is one of theirs.

icl-theory verify --out runs/verify
python experiments/findings.py --ledger runs/verify/records.json     # keeps what is shown in experiments/records
python experiments/findings.py                                       # writes both pages again from what is kept
"""

import argparse
import ast
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import error_rates

from icl_theory.core.marks import unmarked
from icl_theory.grids import findings, read_record
from icl_theory.grids.finding_records import finding_record
from icl_theory.grids.judgement import judge
from icl_theory.grids.records import SHIPPED
from icl_theory.records.documents import from_plain
from icl_theory.records.files import read_json, write_bytes
from icl_theory.records.sweep_means import averaged_over, estimate_at, mean_and_error
from icl_theory.report.page.words import ORIGINS
from icl_theory.report.terminal.tables import evidence_text

ROOT = Path(__file__).parents[1]
LEDGER = ROOT / "experiments/records/ledger.json.gz"
CAMPAIGN = ROOT / "experiments/records/false_alarms.jsonl.gz"
SHOWN = {
    "gap": ("gap",),
    "readout": ("rungs", "readout"),
    "Gaussian rung": ("rungs", "gaussian"),
    "Theorem 2 repaired": ("rungs", "theorem_2_repaired"),
    "risk": ("population_risk",),
}
"""Columns of the table of bounds, and where a record of the sweep has them."""


def ledger_of(records: dict[str, Any]) -> dict[str, Any]:
    """What the pages show of a run of `icl-theory verify --out`."""
    claims = [
        {name: claim[name] for name in ("label", "statement", "origin", "verdict")}
        | {"evidence": evidence_text(claim), "caught": sum(c["caught"] for c in claim["controls"])}
        | {"controls": len(claim["controls"])}
        for claim in records["claims"]
    ]
    return {
        "profile": records["profile"],
        "seed": records["seed"],
        "claims": claims,
        "averaged_over": averaged_over(records["sweep"]),
        "sweep": _sweep(records["sweep"]),
    }


def _sweep(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means and standard errors over seeds and tasks by module and rank."""
    rows = []
    for module, rank in dict.fromkeys((r["module"], r["rank"]) for r in records):
        own = [r for r in records if (r["module"], r["rank"]) == (module, rank)]
        row: dict[str, Any] = {"module": module, "rank": rank}
        rows.append(row | {name: mean_and_error(own, estimate_at(*path)) for name, path in SHOWN.items()})
    return rows


def cell(text: str) -> str:
    """A text as the cell of a table: no bar that would end it, no mark that would change the type."""
    plain = unmarked(text).replace("\\", "\\\\").replace("|", "\\|")
    return " ".join(plain.replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;").split())


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def grid_part(name: Any) -> tuple[str, list[dict[str, Any]], Any]:
    """The table of the findings of a grid, their records, and the numbers of the grid."""
    _, numbers, changed = read_record(SHIPPED / f"{name}.json.gz")
    if changed:
        raise SystemExit(f"changed after the run of the record: {', '.join(changed)}")
    records = [finding_record(judge(f, numbers)) for f in findings().values() if f.grid == name]
    rows = []
    for record in records:
        counts, near = record["counts"], record["paper_cell"]
        strongest = "; ".join(f"{f['name']} {f['share']:.0%}" for f in record["factors"][:2])
        rows.append(
            [
                f"`{record['name']}`: {cell(record['statement'])}",
                ORIGINS[record["origin"]],
                record["verdict"],
                f"{counts['for']} / {counts['against']} / {counts['undecided'] + counts['not finite']}",
                near["outcome"],
                strongest,
            ]
        )
    heads = ["finding", "origin", "verdict", "cells for / against / undecided", "nearest to the paper", "what decides"]
    return table(heads, rows), records, numbers.grid


def levels_part(record: dict[str, Any]) -> str:
    """Mean score of every level of every factor of a finding."""
    rows = []
    for factor in record["factors"]:
        low, high = factor["interval"]
        scores = ", ".join(f"{level} {score:+.2f}" for level, score in factor["scores"].items())
        rows.append([factor["name"], f"{factor['share']:.0%} ({max(low, 0):.0%} to {high:.0%})", cell(scores)])
    heads = ["factor", "share of the scatter", "mean score by level, from -1 (all seeds against) to +1 (all for)"]
    return table(heads, rows)


def findings_page(ledger: dict[str, Any]) -> str:
    """docs/findings.md."""
    edits, records, grid = grid_part("edits")
    prediction, foretold, small = grid_part("prediction")
    by_name = {record["name"]: record for record in [*records, *foretold]}
    rows = [
        [f"`{c['label']}`", cell(c["statement"]), ORIGINS[c["origin"]], c["verdict"], cell(c["evidence"])]
        for c in ledger["claims"]
    ]
    levels = "\n".join(
        f"#### {name}\n\n{by_name[name]['verdict']}: {by_name[name]['statement']}\n\n{levels_part(by_name[name])}"
        for name in ("deep_layers_tolerate", "shots_and_collapse", "algorithm_1", "exact_gain", "bound_predicts_risk")
    )
    bounds = [[r["module"], str(r["rank"]), *(_with_error(r[name]) for name in SHOWN)] for r in ledger["sweep"]]
    return f"""# What was found

Made by `python experiments/findings.py` from records; the words between the tables are all that is written by hand.

## On registered grids

The paper's findings are about populations of models. Each was written down with its cells, its margin and what counts
as for or against it, in `icl_theory/grids/registered`, before the first model of its seed was trained. A cell is for a
statement if the 95 % interval over its {grid.seeds} seeds lies above 0, against it if below. A statement HOLDS or FAILS
if nine tenths of the decided cells say so and half of all cells are decided; it DEPENDS if a twentieth of all cells say
each; otherwise it is INCONCLUSIVE. "What decides" is the share of the scatter of the cells' scores between the levels
of a factor.

{len(grid.units)} ensembles of three-layer models: linear, softmax and causal softmax attention, with and without an
MLP, on regression, low-rank regression and classification, trained for {grid.regimes["short_steps"]} or
{grid.regimes["long_steps"]} steps or on {grid.regimes["finite_prompts"]} prompts, used as trained, with noise on the
weights or under a shift (`icl-theory grid`; to run it again, `icl-theory grid --profile full --out DIR`):

{edits}
{len(small.units)} ensembles of one-layer linear models, whose population risk is exact
(`icl-theory grid --grid prediction`):

{prediction}
### What decides

`icl-theory grid NAME` prints this for each finding.

{levels}
## The ledger

`icl-theory verify --out runs/verify`, profile {ledger["profile"]}, seed {ledger["seed"]}. Evidence: cases for the
statement, and the number that decides.

{table(["claim", "statement", "origin", "verdict", "evidence"], rows)}
## Bound against rank

The same run's sweep: a trained one-layer model (d_x = 5, σ = 0.5, trained on 20 shots), truncated; N = 80, b = 20, loss
clipped at 4. Means over {ledger["averaged_over"]}, ± one standard error.

{table(["matrix", "rank", *SHOWN], bounds)}
The loss reads d_x numbers of W. Their information about the demonstrations (the rung `readout`) does not change when
W_V is truncated, and falls with the rank of W_K or W_Q; so does the measured gap. The rungs on all of W fall for all
three matrices alike, because the support of the noise shrinks: for W_V that is rows of W which no prediction reads. A
smaller gap is no smaller risk.
"""


def _with_error(pair: list[float]) -> str:
    value, error = map(from_plain, pair)
    return f"{value:.3g} ± {error:.1g}" if error else f"{value:.3g}"


def experiments_page(ledger: dict[str, Any]) -> str:
    """experiments/README.md."""
    lines = [json.loads(line) for line in gzip.decompress(CAMPAIGN.read_bytes()).splitlines()[1:]]
    totals = error_rates.summary(lines)["totals"]
    scripts = []
    for path in sorted((ROOT / "experiments").glob("*.py")):
        said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        commands = [
            line.strip().split("  #")[0].rstrip() for line in said.splitlines() if line.strip().startswith("python ")
        ]
        scripts.append([f"`{path.name}`", cell(said.split("\n\n")[0]), f"`{commands[0]}`" if commands else ""])
    verdicts = [claim["verdict"] for claim in ledger["claims"]]
    counted = ", ".join(f"{verdicts.count(v)} {v}" for v in dict.fromkeys(sorted(verdicts, key=verdicts.count)[::-1]))
    rows = [
        ["`records/ledger.json.gz`", f"the ledger: {counted}", "`icl-theory verify --out runs/verify`"],
        *(
            [
                "`records/false_alarms.jsonl.gz`",
                f"{kind} claims: {_of(found['false_alarms'], 'false alarms')}, {_of(found['misses'], 'misses')}",
                "`python experiments/false_alarms.py --seeds 340 --runs 1000 200 --jobs 2`",
            ]
            for kind, found in totals.items()
        ),
        *(
            [
                f"`../icl_theory/grids/records/{name}.json.gz`",
                f"{len(grid.units)} ensembles, {grid.seeds} seeds each",
                f"`icl-theory grid --grid {name} --profile full --out DIR`",
            ]
            for name in ("edits", "prediction")
            for grid in [read_record(SHIPPED / f"{name}.json.gz")[1].grid]
        ),
    ]
    return f"""# Experiments

Made by `python experiments/findings.py`. Thin scripts around the package; what they write goes to `--out DIR`. The
lessons are in `lessons/`, benchmarks in `benchmarks/`, deliberate defects in `defects/`.

## Records that are kept

{table(["record", "what it says", "command"], rows)}
## Scripts

{table(["script", "what it does", "command"], scripts)}"""


def _of(rate: dict[str, Any], what: str) -> str:
    return f"{rate['errors']} {what} in {rate['runs']} checks"


def main() -> int:
    """Keep what is shown of a ledger if one is named, and write both pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ledger", type=Path, help="records.json of a run over all claims with --out")
    arguments = parser.parse_args()
    if arguments.ledger is not None:
        text = json.dumps(ledger_of(read_json(arguments.ledger)), ensure_ascii=False, indent=0)
        write_bytes(LEDGER, gzip.compress(text.encode(), mtime=0))
    ledger = json.loads(gzip.decompress(LEDGER.read_bytes()))
    for path, text in (
        (ROOT / "docs/findings.md", findings_page(ledger)),
        (ROOT / "experiments/README.md", experiments_page(ledger)),
    ):
        write_bytes(path, text.encode("utf-8"))
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
