"""A run over claims: cases are made, claims and controls examined, records kept."""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from icl_theory import _checks, figures
from icl_theory.claims import load_all
from icl_theory.claims.cases import CLIP, LADDER_DEMONSTRATIONS, LADDER_SHOTS, PROFILES, Workshop
from icl_theory.claims.outcome import Outcome, examine
from icl_theory.report.records import environment, plain, prepare_directory, write_json
from icl_theory.sweep import rank_sweep

FORMAT = 1  # of records.json
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Report:
    """Everything a run of `verify` found."""

    records: dict[str, Any]
    """The JSON document: environment, profile, seed, one entry per claim, and the sweep if one was made."""
    outcomes: list[Outcome]
    """One per claim, in the paper's order."""

    @property
    def sound(self) -> bool:
        """Nothing inconclusive or non-finite, every control caught, every derivation true.

        A printed statement that is found false is a finding and does not make a run unsound.
        """
        return all(outcome.sound for outcome in self.outcomes)


def _record(outcome: Outcome) -> dict[str, Any]:
    claim = outcome.claim
    return {
        "label": claim.label,
        "statement": claim.statement,
        "printed": claim.printed,
        "source": claim.source,
        "relation": claim.relation,
        "verdict": outcome.verdict,
        "informative": outcome.informative,
        "sound": outcome.sound,
        "cases": dict(Counter(str(item.verdict) for item in outcome.evidence)),
        "evidence": [dataclasses.asdict(item) for item in outcome.evidence],
        "controls": [dataclasses.asdict(item) | {"caught": item.caught} for item in outcome.controls],
        "proved": outcome.proved,
        "certificates": len(outcome.certificates),
        "seconds": outcome.seconds,
    }


def _examine_all(chosen: list, workshop: Workshop, progress: Progress | None) -> list[Outcome]:
    outcomes = []
    for done, claim in enumerate(chosen):
        if progress is not None:
            progress(claim.label, done, len(chosen))
        started = time.perf_counter()
        outcome = examine(claim, workshop)
        outcomes.append(dataclasses.replace(outcome, seconds=time.perf_counter() - started))
    if progress is not None:
        progress("all claims examined", len(chosen), len(chosen))
    return outcomes


def _sweep(workshop: Workshop, progress: Progress | None) -> list[dict[str, Any]]:
    """Bound versus rank of W_V for the one-layer ensemble trained in this run."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress("bound versus rank", done, total)

    return rank_sweep(
        workshop.ensemble(1).weights,
        workshop.task,
        demonstrations=LADDER_DEMONSTRATIONS,
        shots=LADDER_SHOTS,
        clip=CLIP,
        samples=workshop.profile.samples,
        key=workshop.seed,
        progress=report,
    )


def _write(out: Path, records: dict[str, Any], outcomes: list[Outcome]) -> None:
    """Counterexamples and the figure first; `records.json`, written last, says that the rest is there."""
    for outcome in outcomes:
        for number, certificate in enumerate(outcome.certificates):
            name = outcome.claim.label + (f"_{number}" if number else "")
            write_json(out / "counterexamples" / f"{name}.json", certificate)
    figures.bound_versus_rank(records["sweep"], out / "bound_versus_rank")
    write_json(out / "records.json", records)


def verify(
    claims: Iterable[str] | None = None,
    *,
    profile: str = "quick",
    seed: int = 0,
    out: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Check claims on random, constructed and freshly trained transformers, each with its negative controls.

    Args:
        claims: labels (see `icl_theory.claims.LABELS`); all if None.
        profile: "quick" (about a minute on two cores) or "full" (more seeds, more samples, longer training).
        seed: a whole number; the same seed gives the same cases.
        out: directory for `records.json`, `counterexamples/` and the bound-versus-rank figure; nothing is written
            if None, and the sweep behind the figure is not made.
        overwrite: replace the files of an earlier run in `out`.
        progress: called often with (what, done, total).

    Returns: `Report`. Raises: ValueError for an unknown claim or profile, or an `out` that is a file or in use.
    """
    chosen = load_all(claims)
    profile = _checks.choice("profile", profile, tuple(PROFILES))
    seed = _checks.integer("seed", seed, 0, 2**31 - 1, "pass a whole number")
    directory = None if out is None else prepare_directory(out, overwrite)
    started = time.perf_counter()
    workshop = Workshop(PROFILES[profile], seed, progress)
    outcomes = _examine_all(chosen, workshop, progress)
    records = {
        "format": FORMAT,
        "environment": environment(),
        "profile": profile,
        "seed": seed,
        "claims": [_record(outcome) for outcome in outcomes],
        "sweep": [] if directory is None else _sweep(workshop, progress),
    }
    records["seconds"] = time.perf_counter() - started
    records = plain(records)
    if directory is not None:
        _write(directory, records, outcomes)
    return Report(records, outcomes)
