"""All claims of a run examined: those whose models are there first, and by two processes where there are many."""

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.claim import Claim
from icl_theory.claims.engine.examine import Outcome, examine
from icl_theory.claims.engine.trained_ensembles import REPORT_SECONDS, NotReady
from icl_theory.claims.order import LABELS
from icl_theory.claims.registry import subject_of
from icl_theory.core.progress import Progress
from icl_theory.runs.second_process import SecondProcess

SECOND = ("pruning", "training", "truncation", "noise")
"""Subjects that the second process begins with: about half of the work, and few ladders of the other half."""
FEWEST_FOR_TWO = 30
"""Claims from which on a second process pays for its start."""


class _Work:
    """Claims still to be examined, and the outcomes by label; both sides take from it."""

    def __init__(self, claims: Iterable[Claim], *, two: bool) -> None:
        claims = list(claims)
        other = {c.label for c in claims if two and c.label in LABELS and subject_of(c.label) in SECOND}
        self._own = deque(claim for claim in claims if claim.label not in other)
        self._others = deque(claim for claim in claims if claim.label in other)
        self._lock = threading.Lock()
        self._late: list[Claim] = []  # those that have to wait for a training
        self.outcomes: dict[str, Outcome] = {}

    def next(self, *, second: bool) -> Claim | None:
        """One to be examined now: of one's own share, then of the end of the other's; None if none is left."""
        with self._lock:
            mine, theirs = (self._others, self._own) if second else (self._own, self._others)
            if mine:
                return mine.popleft()
            if not second and theirs:
                return theirs.pop()
            ours = [claim for claim in theirs if claim.label in LABELS] if second else []
            if ours:
                theirs.remove(ours[-1])
                return ours[-1]
            return None

    def put_off(self, claim: Claim) -> None:
        """Keep a claim for later: the models that it needs are not there. Both sides may do so at once."""
        with self._lock:
            self._late.append(claim)

    def waiting(self, *, second: bool) -> Claim | None:
        """One of those that had to wait."""
        with self._lock:
            found = next((claim for claim in self._late if not second or claim.label in LABELS), None)
            if found is not None:
                self._late.remove(found)
            return found


def examine_all(
    claims: list[Claim], factory: CaseFactory, z: float, progress: Progress | None, second: SecondProcess | None = None
) -> list[Outcome]:
    """The outcomes in the order of the claims, derivations included; training goes on meanwhile.

    Args:
        claims: each under a label of its own.
        factory: makes the cases.
        z: standard errors that decide.
        progress: called with the label at work, how many are done, and how many there are.
        second: a process that examines some of them; if it ends early, the rest is examined here.
    """
    notify = progress or (lambda text, done, total: None)
    work, done = _Work(claims, two=second is not None), threading.Event()
    helper = None
    if second is not None:
        helper = threading.Thread(target=_serve, args=(work, second, done), name="second process", daemon=True)
        helper.start()
    try:
        for patient in (False, True):
            factory.ensembles.wait = patient
            while (claim := work.waiting(second=False) if patient else work.next(second=False)) is not None:
                notify(claim.label, len(work.outcomes), len(claims))
                _examine(work, claim, factory, z)
    finally:
        done.set()
    while helper is not None and helper.is_alive():
        notify("claims of the second process", len(work.outcomes), len(claims))
        helper.join(REPORT_SECONDS)
    left = [claim for claim in claims if claim.label not in work.outcomes]
    for claim in left:  # the second process has gone
        notify(claim.label, len(work.outcomes), len(claims))
        _examine(work, claim, factory, z)
    notify("all claims examined", len(claims), len(claims))
    return [work.outcomes[claim.label] for claim in claims]


def _examine(work: _Work, claim: Claim, factory: CaseFactory, z: float) -> None:
    started = time.perf_counter()
    try:
        outcome = examine(claim, factory, z=z)
    except NotReady:
        work.put_off(claim)
        return
    work.outcomes[claim.label] = dataclasses.replace(outcome, seconds=time.perf_counter() - started)


def _serve(work: _Work, second: SecondProcess, done: threading.Event) -> None:
    """Keep the second process at work until nothing is left; what it cannot finish is left to the first."""
    with suppress(EOFError, OSError):
        while (claim := work.next(second=True)) is not None:
            _ask(work, claim, second)
        # Those that waited: the first process examines them too, once it has nothing else to do.
        while not done.wait(REPORT_SECONDS):
            claim = work.waiting(second=True)
            if claim is not None:
                _ask(work, claim, second)


def _ask(work: _Work, claim: Claim, second: SecondProcess) -> None:
    outcome = second.examine(claim.label)
    if outcome is None:
        work.put_off(claim)
    else:
        work.outcomes[claim.label] = outcome
