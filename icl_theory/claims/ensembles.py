"""The trained ensembles of a run: each is trained once, in a thread of its own, two at a time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from icl_theory.tasks import LinearRegression
from icl_theory.training import TrainResult, train

_REPORT_SECONDS = 0.2


class Kind(NamedTuple):
    """Which models."""

    layers: int
    hidden: int = 0
    """Width of a linear MLP; 0 for attention alone."""
    readout: str = "minus"
    """Sign with which the query's label slot is read."""

    def __str__(self) -> str:
        words = f"{self.layers} layer{'s' * (self.layers > 1)}{' with an MLP' * (self.hidden > 0)}"
        return words + " read with a plus" * (self.readout == "plus")


class Unfinished(Exception):
    """Raised instead of waiting for a training that is not done, see `Ensembles.patient`."""


class _Abandoned(Exception):
    """Raised within a training that nobody waits for any more."""


class Ensembles:
    """Trains ensembles of independent seeds; XLA leaves the interpreter free, so what is begun early costs no time.

    The result does not depend on which thread trains, or on what else is at work.
    """

    def __init__(
        self,
        task: LinearRegression,
        seed: int,
        *,
        shots: int,
        seeds: int,
        steps: Callable[[Kind], int],
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self._task, self._seed, self._shots, self._seeds, self._steps = task, seed, shots, seeds, steps
        self._progress, self._abandoned = progress, threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="training")
        self._begun: dict[Kind, Future[TrainResult]] = {}
        self._seen: dict[Kind, tuple[str, int, int]] = {}
        self.patient = True
        """Whether `get` waits; if not, it begins the training and raises `Unfinished` until that is done."""

    @property
    def begun(self) -> tuple[Kind, ...]:
        """What has been trained, or is being trained."""
        return tuple(self._begun)

    def begin(self, *kinds: Kind) -> None:
        """Start training, in this order; `get` waits for it."""
        for kind in kinds:
            if kind not in self._begun:
                self._seen[kind] = f"training {kind}", 0, self._steps(kind)
                self._begun[kind] = self._pool.submit(self._train, kind)

    def get(self, kind: Kind) -> TrainResult:
        """The ensemble, trained now if need be; progress is told here, and so by one thread only.

        Raises: Unfinished where it would have to wait and is not `patient`.
        """
        self.begin(kind)
        future = self._begun[kind]
        if not (self.patient or future.done()):
            raise Unfinished(str(kind))
        while not wait([future], timeout=_REPORT_SECONDS).done:
            if self._progress is not None:
                self._progress(*self._seen[kind])
        return future.result()

    def close(self) -> None:
        """Break off what is not finished, at the next border of a chunk of steps."""
        self._abandoned.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _train(self, kind: Kind) -> TrainResult:
        def note(step: int, total: int, loss: float) -> None:
            if self._abandoned.is_set():
                raise _Abandoned
            self._seen[kind] = f"training {kind}, loss {loss:.3f}", step, total

        return train(
            self._task,
            self._seed,
            layers=kind.layers,
            shots=self._shots,
            steps=self._steps(kind),
            seeds=self._seeds,
            hidden=kind.hidden,
            readout=kind.readout,
            progress=note,
        )
