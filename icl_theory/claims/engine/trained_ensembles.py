"""The trained ensembles of a run: each is trained once, in a thread next to the claims."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

from icl_theory.core.progress import Progress
from icl_theory.models.options import Readout
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.train import TrainResult, train

REPORT_SECONDS = 0.2  # between two reports on something that is waited for


class Kind(NamedTuple):
    """Which models."""

    layers: int
    hidden: int = 0
    """Width of a linear MLP; 0 for attention alone."""
    readout: Readout = "minus"
    """Sign with which the query's label slot is read."""

    def __str__(self) -> str:
        words = f"{self.layers} layer{'s' * (self.layers > 1)}{' with an MLP' * (self.hidden > 0)}"
        return words + " read with a plus" * (self.readout == "plus")


class NotReady(Exception):
    """Raised instead of waiting for a training that is not done, see `TrainedEnsembles.wait`."""


class Cancelled(Exception):
    """Raised within a training, or other work in a thread, that nobody waits for any more."""


class TrainedEnsembles:
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
        progress: Progress | None = None,
    ) -> None:
        self._task, self._seed, self._shots, self._seeds, self._steps = task, seed, shots, seeds, steps
        self._progress, self._closed = progress, threading.Event()
        # One at a time: the claims are what a run waits for, and on two cores a second training would slow them down.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="training")
        self._begun: dict[Kind, Future[TrainResult]] = {}
        self._seen: dict[Kind, tuple[str, int, int]] = {}
        self.wait = True
        """Whether `get` waits; if not, it begins the training and raises `NotReady` until that is done."""

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

    def future(self, kind: Kind) -> Future[TrainResult]:
        """The ensemble as something to wait for in another thread."""
        self.begin(kind)
        return self._begun[kind]

    def get(self, kind: Kind) -> TrainResult:
        """The ensemble, trained now if need be; progress is reported here, and so by one thread only.

        Raises: Unfinished where it would have to wait and is not `wait`.
        """
        future = self.future(kind)
        if not (self.wait or future.done()):
            raise NotReady(str(kind))
        while not wait([future], timeout=REPORT_SECONDS).done:
            if self._progress is not None:
                self._progress(*self._seen[kind])
        return future.result()

    def close(self) -> None:
        """Break off what is not finished, at the next border of a chunk of steps."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def stop_if_closed(self) -> None:
        """For work in other threads to call now and then. Raises: Abandoned when nobody waits for it any more."""
        if self._closed.is_set():
            raise Cancelled

    def _train(self, kind: Kind) -> TrainResult:
        def note(text: str, step: int, total: int) -> None:
            self.stop_if_closed()
            self._seen[kind] = text.replace("training", f"training {kind}", 1), step, total

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
