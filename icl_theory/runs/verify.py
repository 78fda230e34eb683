"""A run over claims: cases are made, claims and controls examined, records kept."""

import os
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import CaseSettings
from icl_theory.claims.engine.claim import Claim
from icl_theory.claims.engine.examine import Outcome
from icl_theory.claims.engine.profiles import PROFILES, ProfileName
from icl_theory.claims.order import LABELS
from icl_theory.claims.outside import OutsideClaim
from icl_theory.claims.record import counterexample_file, record
from icl_theory.claims.registry import all_labels, chosen
from icl_theory.core import checks
from icl_theory.core.cache_folders import ensembles_folder
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.progress import Progress
from icl_theory.core.results import Result
from icl_theory.records.claims_csv import row_of, table
from icl_theory.records.compare import FORMAT, compare
from icl_theory.records.documents import to_plain
from icl_theory.records.environment import environment
from icl_theory.records.files import prepare_directory, write_bytes, write_json
from icl_theory.report.page.document import page
from icl_theory.runs.background_sweep import Sweep
from icl_theory.runs.examination import FEWEST_FOR_TWO, examine_all
from icl_theory.runs.second_process import SecondProcess
from icl_theory.runs.verify_config import require_usual_sweep
from icl_theory.training.ensemble_cache import EnsembleCache

STANDARD_ERRORS = 6.0  # by which an inequality must be clear, and within which an equality must stay


@fields_in_help
@dataclass(frozen=True, repr=False)
class VerifyResult(Result):
    """Everything a run of `verify` found.

    Example:
        >>> from icl_theory import verify
        >>> result = verify(["theorem_1_printed"])
        >>> result.sound, result.rows()[0]["verdict"]
        (True, 'FAILS')
    """

    records: dict[str, Any]
    """The JSON document: environment, profile, seed, one entry per claim, and the sweep if one was made."""
    outcomes: list[Outcome]
    """One per claim, section by section."""
    changes: dict[str, Any] | None = None
    """What differs from the earlier run that was given, from `records.compare.compare`; None without one."""

    @property
    def sound(self) -> bool:
        """Nothing inconclusive, non-finite or in error, no regression, every control caught, every derivation true.

        A printed statement that is found false is a finding and does not make a run unsound; a statement of ours whose
        verdict is not the known one is a regression and does, see `icl_theory.claims.engine.expected_verdicts`.
        """
        return all(outcome.sound for outcome in self.outcomes)

    def rows(self) -> list[dict[str, Any]]:
        """One row per claim, with the columns of records.csv."""
        return [row_of(claim) for claim in self.records["claims"]]

    def __repr__(self) -> str:
        counts = Counter(claim["verdict"] for claim in self.records["claims"])
        found = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        return f"VerifyResult({len(self.outcomes)} claims: {found}; {'sound' if self.sound else 'not sound'})"


def write(report: VerifyResult, out: Path) -> None:
    """Counterexamples, figure, page and table first; `records.json`, written last, says that the rest is there.

    Args:
        report: of `run`.
        out: a directory that is ready, see `prepare_directory`.

    Raises: OSError.
    """
    records = report.records
    for outcome in report.outcomes:
        for number, counterexample in enumerate(outcome.counterexamples):
            write_json(out / counterexample_file(outcome.claim.label, number), counterexample)
    for old in out.glob("bound_versus_rank.*"):
        old.unlink()  # of a run that this one overwrites
    if records["sweep"]:
        # matplotlib takes half a second to import, and most runs draw nothing
        from icl_theory.figures import bound_versus_rank as figures

        figures.bound_versus_rank(records["sweep"], out / "bound_versus_rank")
    write_bytes(out / "report.html", page(records, report.changes).encode("utf-8"))
    write_bytes(out / "records.csv", table(records).encode("utf-8"))
    write_json(out / "records.json", records)


def verify(
    claims: Iterable[str | Claim | OutsideClaim] | str | Claim | None = None,
    *,
    profile: ProfileName = "quick",
    seed: int = 0,
    out: str | Path | None = None,
    overwrite: bool = False,
    sweep: bool | None = None,
    cache: bool = True,
    processes: int | None = None,
    settings: CaseSettings | None = None,
    progress: Progress | None = None,
    baseline: dict[str, Any] | None = None,
) -> VerifyResult:
    """Check claims on random, constructed and trained transformers, each with its negative controls.

    Args:
        claims: labels (see `icl_theory.claims.registry.LABELS`) and claims of yours; all if None, those of installed
            packages included. Only what these claims need is trained and drawn.
        profile: "quick" (about a minute on two cores) or "full" (more seeds, more samples, longer training).
        seed: a whole number; the same seed gives the same cases.
        out: directory for `report.html`, `records.json`, `records.csv`, `counterexamples/` and, with a sweep, the
            bound-versus-rank figure; nothing is written if None.
        overwrite: replace the files of an earlier run in `out`.
        sweep: compute bound versus rank of a trained ensemble, for page and figure; if None, where all claims are
            examined and `out` is given.
        cache: keep trained ensembles in the user's cache directory, and take those of earlier runs from there: under a
            digest of everything that determines them, see `icl_theory.training.ensemble_cache`.
        processes: 2 examines half of the claims in a second process, 1 all in this one; None: 2 for many claims on a
            machine that has two processors. The result does not depend on it.
        settings: another task, depth or number of demonstrations, or a model of yours, on which the claims are
            checked; those that need what it is not are OUTSIDE, with the reason.
        progress: called often with (what, done, total).
        baseline: records of another run (`records.compare.read_run`); what has changed since is then in
            `VerifyResult.changes` and on the page. The verdicts do not depend on it.

    Returns: `VerifyResult`. A claim whose check raises an exception has the verdict ERROR, and the others are examined.
    Raises: ValueError for an unknown claim or profile, an `out` that is a file or in use, a claim of an installed
        package that cannot be used, one of yours without a label of its own or two negative controls, or a sweep in
        settings of yours.

    Example:
        >>> from icl_theory import verify
        >>> verify(["lemma_3", "theorem_1_printed"])
        VerifyResult(2 claims: 1 FAILS, 1 HOLDS; sound)
    """
    directory = None if out is None else prepare_directory(out, overwrite)
    if sweep is None:
        sweep = claims is None and directory is not None and (settings is None or settings.usual)
    report = run(
        claims,
        profile,
        seed,
        sweep=sweep,
        cache=cache,
        processes=processes,
        settings=settings,
        progress=progress,
        baseline=baseline,
    )
    if directory is not None:
        write(report, directory)
    return report


def run(
    claims: Iterable[str | Claim | OutsideClaim] | str | Claim | None,
    profile: ProfileName,
    seed: int,
    *,
    sweep: bool,
    cache: bool = True,
    processes: int | None = None,
    settings: CaseSettings | None = None,
    options: dict[str, Any] | None = None,
    progress: Progress | None = None,
    baseline: dict[str, Any] | None = None,
) -> VerifyResult:
    """`verify` without its files; `sweep` says whether to compute bound versus rank for the figure.

    `options`: of the command line, that made the settings; they are written down beside the others.
    """
    settings = settings or CaseSettings()
    require_usual_sweep(sweep, settings)
    # All of our own are imported below, while the models train; those of others may be invalid and are checked first.
    named = None if claims is None else chosen(claims)
    labels = all_labels() if claims is None else None
    profile = checks.choice("profile", profile, tuple(PROFILES))
    seed = checks.integer("seed", seed, 0, 2**31 - 1, "pass a whole number")
    started = time.perf_counter()
    most = _processes(named, settings) if processes is None else processes
    processes = checks.integer("processes", most, 1, 2, "use 1 or 2")
    with ExitStack() as stack:
        folder = ensembles_folder() if cache else Path(stack.enter_context(TemporaryDirectory()))
        kept = EnsembleCache(folder) if cache or processes == 2 else None
        factory = stack.enter_context(
            closing(CaseFactory(PROFILES[profile], seed, progress, cache=kept, settings=settings))
        )
        if claims is None:
            factory.train_ahead()
        second = None
        if processes == 2:
            setting = PROFILES[profile], seed, folder, STANDARD_ERRORS, settings
            second = stack.enter_context(closing(SecondProcess(*setting)))
        swept = Sweep(factory) if sweep else None
        pairs = chosen() if named is None else named
        outcomes = examine_all([claim for claim, _ in pairs], factory, STANDARD_ERRORS, progress, second)
        bound_versus_rank = [] if swept is None else swept.records(progress)
    records = {
        "format": FORMAT,
        "environment": environment(),
        "configuration": {"profile": profile, "seed": seed, "claims": _named(named)} | (options or {}),
        "settings": None if settings.usual else settings.to_dict(),
        "profile": profile,
        "seed": seed,
        "standard_errors": STANDARD_ERRORS,
        "claims": [record(outcome, package) for outcome, (_, package) in zip(outcomes, pairs, strict=True)],
        "sweep": bound_versus_rank,
        "kept_ensembles": [str(recipe) for recipe in factory.ensembles.kept],
    }
    records["seconds"] = time.perf_counter() - started
    records = to_plain(records)
    return VerifyResult(records, outcomes, None if baseline is None else compare(baseline, records, labels))


def _named(named: list[Any] | None) -> list[str]:
    """Labels of the claims that were named; none for a run over all."""
    return [] if named is None else [claim.label for claim, _ in named]


def _processes(named: list[Any] | None, settings: CaseSettings) -> int:
    """Two for many claims of ours, where there are processors for both, and the second can build the task."""
    if not type(settings.task).__module__.startswith("icl_theory."):
        return 1
    ours = len(LABELS) if named is None else sum(claim.label in LABELS for claim, _ in named)
    return 2 if ours >= FEWEST_FOR_TWO and (os.cpu_count() or 1) > 1 else 1
