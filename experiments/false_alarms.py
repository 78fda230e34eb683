"""How often does the ledger err? False alarms on true statements and misses on negative controls, over many seeds.

python experiments/false_alarms.py --seeds 20 --untrained                    # quick: no training
python experiments/false_alarms.py --seeds 340 --runs 1000 200 --jobs 2      # the whole campaign: hours

One line of `campaign.jsonl` per seed and claim; a run that was broken off goes on after the last whole line. What a
claim should say is its verdict under the first seed, if that is a decision; what a control should say is written in
the claim; `error_rates.py` counts. With --runs a claim is left alone once it has been checked that often (the first
number for exact, the second for statistical claims) and under ten seeds; what counts are the cases of a statement that
should hold, the verdict and the controls of one that should not.
"""

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from error_rates import summary, table

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim
from icl_theory.claims.engine.examine import Outcome, examine
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.engine.verdict import Verdict
from icl_theory.claims.registry import load_all
from icl_theory.records.documents import to_plain
from icl_theory.records.files import write_json
from icl_theory.records.journal import Journal
from icl_theory.report.terminal.console import LiveProgress

FORMAT = 1
FEWEST_SEEDS = 10  # of every claim


class Untrained(CaseFactory):
    """Random and constructed weights only; claims about trained models then have no case and are left out."""

    def _trained(self, layers: int, hidden: int) -> list[Case]:
        del layers, hidden
        return []


def line(outcome: Outcome, seed: int) -> dict[str, Any]:
    """What the campaign keeps of one outcome: of a claim that refutes, the check of the relation that it refutes."""
    refutes = outcome.claim.refutes
    as_relation: Callable[[Verdict], str] = (lambda v: str(v.reversed)) if refutes else str
    return {
        "seed": seed,
        "claim": outcome.claim.label,
        "relation": outcome.claim.relation,
        "population": outcome.claim.over_seeds,
        "verdict": as_relation(outcome.verdict),
        "cases": dict(Counter(as_relation(item.verdict) for item in outcome.evidence)),
        "statistical": outcome.claim.over_seeds or any(item.stderr > 0 for item in outcome.evidence),
        "controls": [[c.name, as_relation(c.verdict), as_relation(c.expected)] for c in outcome.controls],
        "proved": outcome.proved,
    }


def examined(claims: list[Claim], seed: int, setting: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The lines of one seed; a claim without a case has none."""
    with closing((Untrained if setting["untrained"] else CaseFactory)(PROFILES[setting["profile"]], seed)) as factory:
        for claim in claims:
            if not claim.finding and claim.cases(factory):  # a finding is read off a record: nothing is drawn
                yield to_plain(line(examine(claim, factory), seed))


def examined_elsewhere(labels: list[str], seed: int, setting: dict[str, Any]) -> list[dict[str, Any]]:
    """The same for a process of its own."""
    return list(examined(load_all(labels), seed, setting))


def checks(row: dict[str, Any]) -> int:
    """How often a line has checked its statement: its cases, or the verdict and controls of one that fails."""
    if row["verdict"] == "FAILS":
        return 1 + len(row["controls"])
    return 1 if row["population"] or row["relation"] == "exists" else sum(row["cases"].values())


class Register(Journal):
    """All lines of a campaign: kept in a file, and counted."""

    def left(self, claims: list[Claim], seed: int, runs: tuple[int, int] | None) -> list[Claim]:
        """Claims to be examined under that seed: not yet done, and short of checks."""
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in self.lines:
            rows[row["claim"]].append(row)

        def short(label: str) -> bool:
            found = rows[label]
            if runs is None or len(found) < FEWEST_SEEDS:
                return True
            return sum(map(checks, found)) < runs[any(row["statistical"] for row in found)]

        return [c for c in claims if all(row["seed"] != seed for row in rows[c.label]) and short(c.label)]


def campaign(
    path: Path,
    claims: list[Claim],
    seeds: Iterable[int],
    *,
    profile: str,
    untrained: bool,
    runs: tuple[int, int] | None = None,
    jobs: int = 1,
    progress: Any = None,
) -> list[dict[str, Any]]:
    """Examine the claims under every seed that `path` does not hold yet; all lines, old and new.

    `runs`: checks after which an exact and a statistical claim is left alone. `jobs`: processes, one seed each.
    """
    setting, seeds = {"format": FORMAT, "profile": profile, "untrained": untrained}, list(seeds)
    register, notify = Register(path, setting), progress or (lambda text, done, total: None)
    if jobs == 1:
        for number, seed in enumerate(seeds):
            for row in examined(register.left(claims, seed, runs), seed, setting):
                register.add(row)
                notify(f"seed {seed}: {row['claim']}", number, len(seeds))
        return register.lines
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        working: set[Future[list[dict[str, Any]]]] = set()
        for number, seed in enumerate(seeds):
            if left := [claim.label for claim in register.left(claims, seed, runs)]:
                working.add(pool.submit(examined_elsewhere, left, seed, setting))
            notify(f"seed {seed}: {len(left)} claims", number, len(seeds))
            working = _collect(register, working, jobs)
        _collect(register, working, 1)
    return register.lines


def _collect(register: Register, working: set[Future], most: int) -> set[Future]:
    """Keep what is finished, and wait until fewer than `most` are at work."""
    while len(working) >= most:
        done, working = wait(working, return_when=FIRST_COMPLETED)
        for future in done:
            for row in future.result():
                register.add(row)
    return working


def main() -> int:
    """Run or continue a campaign, write `summary.json`, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/false_alarms"), help="folder of the campaign")
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="first seed: what was looked at before is left out")
    parser.add_argument("--claims", nargs="*", help="labels; all if left out")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="quick")
    parser.add_argument("--runs", type=int, nargs=2, help="checks of an exact and of a statistical claim; all seeds")
    parser.add_argument("--jobs", type=int, default=1, help="processes, one seed each")
    parser.add_argument("--untrained", action="store_true", help="random and constructed weights only: no training")
    arguments = parser.parse_args()
    try:
        claims = load_all(arguments.claims)
        with LiveProgress() as progress:
            lines = campaign(
                arguments.out / "campaign.jsonl",
                claims,
                range(arguments.first, arguments.first + arguments.seeds),
                profile=arguments.profile,
                untrained=arguments.untrained,
                runs=None if arguments.runs is None else tuple(arguments.runs),
                jobs=arguments.jobs,
                progress=progress,
            )
    except ValueError as error:
        parser.error(str(error))
    document = summary(lines)
    print(write_json(arguments.out / "summary.json", to_plain(document)), file=sys.stderr)
    print(table(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
