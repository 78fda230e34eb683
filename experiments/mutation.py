"""Which deliberate defects do the tests see? The list of experiments/defects, one at a time in a copy of the tree.

python experiments/mutation.py                                     # all of them: an hour or more
python experiments/mutation.py --class "error bar" --files risk    # those of some files
python experiments/mutation.py --only risk_stderr --deep --claims  # one of them, with everything that could see it

The tests of the source file are run first (see `defects.mirrors`); with --deep all other default tests if it survives
those, with --claims then `icl-theory verify` on the claims that import the file. One line of the journal per defect; a
line serves again while the defect, the file it changes and the tests it was tried on are what they were, and what has
survived is tried on tests that are new or have changed. A change elsewhere in the package is not noticed: --again tries
all once more. Tests that fail without any defect end the run.
"""

import argparse
import queue
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from defects import CLASSES, Defect, load
from defects.trial import BROKEN, KILLED, STALE, SURVIVED, Baseline, Copy, Journal, RedBaseline, known, tried

ROOT = Path(__file__).parent.parent


def campaign(
    chosen: Sequence[Defect], journal: Journal, arguments: argparse.Namespace, notify: Callable[[str], None]
) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """A line for every defect, by name, and the test files that were left out as red. Raises: Refused."""
    baseline, copies, results = Baseline(journal, arguments.without_red, notify), queue.Queue(), {}
    with tempfile.TemporaryDirectory(prefix="icl_theory_mutation_") as folder:
        first = Copy(ROOT, Path(folder) / "0")
        for copy in (first, *(Copy(first.root, Path(folder) / str(n)) for n in range(1, arguments.jobs))):
            copies.put(copy)

        def one(defect: Defect) -> None:
            copy = copies.get()
            try:
                line = None if arguments.again else known(journal, defect, copy)
                if line is None or line["outcome"] == SURVIVED:
                    started = time.perf_counter()
                    line = tried(defect, copy, baseline, arguments, line)
                    line["seconds"] = round(time.perf_counter() - started, 1)
                    journal.add(line)
                results[defect.name] = line
                notify(f"[{len(results)}/{len(chosen)}] {line['outcome']:9} {defect.name}  {line['by']}")
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(arguments.jobs) as pool:
            try:
                list(pool.map(one, chosen))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    return results, baseline.red


def table(chosen: Sequence[Defect], results: dict[str, dict[str, Any]]) -> str:
    """Killed of all by class, and what a user would see of every survivor."""
    rows = [f"{'class':16}{'killed':>8}{'of':>6}{'share':>9}"]
    groups = {kind: [d for d in chosen if d.kind == kind] for kind in CLASSES} | {"all": list(chosen)}
    for kind, group in groups.items():
        killed = sum(results[d.name]["outcome"] == KILLED for d in group)
        if group:
            rows.append(f"{kind:16}{killed:>8}{len(group):>6}{killed / len(group):>9.1%}")
    for outcome in (SURVIVED, STALE, BROKEN):
        left = [d for d in chosen if results[d.name]["outcome"] == outcome]
        rows += ["", f"{outcome}:"] if left else []
        rows += [f"  {d.file}: {d.name} ({d.kind}): {results[d.name]['by'] or d.wrong}" for d in left]
    return "\n".join(rows)


def select(defects: Sequence[Defect], arguments: argparse.Namespace) -> list[Defect]:
    """The defects requested, in the order of the list; those without effect only if they are named."""
    only = re.compile(arguments.only or "")
    return [
        d
        for d in defects
        if only.search(d.name)
        and (arguments.only or not d.equivalent)
        and (not arguments.files or any(part in d.file for part in arguments.files))
        and (not arguments.kinds or d.kind in arguments.kinds)
    ]


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="REGEX", help="defects whose name has this in it")
    parser.add_argument("--files", nargs="+", default=[], metavar="PART", help="source files with one of these in them")
    parser.add_argument("--class", dest="kinds", action="append", default=[], choices=CLASSES, help="can be repeated")
    parser.add_argument("--jobs", type=int, default=1, help="copies at work side by side")
    parser.add_argument("--out", type=Path, default=Path("runs/mutation.jsonl"), help="the journal")
    parser.add_argument("--quick", action="store_true", help="the tests of the file's name only")
    parser.add_argument("--deep", action="store_true", help="all default tests against what the file's own leave alive")
    parser.add_argument("--claims", action="store_true", help="then the claims that import the file")
    parser.add_argument("--again", action="store_true", help="try what the journal knows once more")
    parser.add_argument("--without-red", action="store_true", help="leave out tests that fail without any defect")
    parser.add_argument("--list", action="store_true", help="print the defects and end")
    return parser.parse_args(arguments)


def main() -> int:
    """0: all killed; 1: some survived, or do not fit the source; 2: a red baseline."""
    arguments = parsed()
    chosen = select(load(), arguments)
    if arguments.list:
        print("\n".join(f"{d.kind:14} {d.file}: {d.name}: {d.wrong}" for d in chosen))
        return 0

    def notify(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    try:
        results, red = campaign(chosen, Journal(arguments.out), arguments, notify)
    except RedBaseline as error:
        notify(f"a red baseline: {error}")
        return 2
    print(table(chosen, results))
    for name in sorted(red):
        print(f"left out, since it fails without any defect: tests/{name}")
    return 0 if all(line["outcome"] == KILLED for line in results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
