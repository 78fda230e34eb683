"""The trained ensembles of a run: each is trained once, in a thread next to the claims."""

import json
import threading
import zlib
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict

from icl_theory.core.progress import Progress
from icl_theory.tasks.base import Task
from icl_theory.tasks.written import task_or_reason
from icl_theory.training.config import TrainConfig
from icl_theory.training.ensemble import checked_config
from icl_theory.training.ensemble_cache import EnsembleCache
from icl_theory.training.train import TrainResult, train

REPORT_SECONDS = 0.2  # between two reports on something that is waited for


class Recipe:
    """A task and the settings it is trained under; equal recipes make equal models, hence are trained once."""

    def __init__(self, task: Task, config: TrainConfig) -> None:
        self.task, self.config = task, checked_config(config)
        described = task_or_reason(task)
        own = id(task) if "unwritten" in described else json.dumps(described, sort_keys=True)
        self._identity = own, self.config

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def number(self) -> int:
        """A number that is the same in every run, for seeds."""
        return zlib.crc32(f"{type(self.task).__name__} {self._identity[0]} {self.config}".encode())

    def __str__(self) -> str:
        config, usual = self.config, TrainConfig()
        words = f"{config.layers} layer{'s' * (config.layers > 1)}"
        if config.hidden:
            words += f" with {'a ReLU' if config.activation == 'relu' else 'an'} MLP"
        words += " read with a plus" * (config.readout == "plus")
        unusual = [str(getattr(config, n)) for n in ("kind", "mask") if getattr(config, n) != getattr(usual, n)]
        return ", ".join([words, *unusual])


class NotReady(Exception):
    """Raised instead of waiting for a training that is not done, see `TrainedEnsembles.wait`."""


class Cancelled(Exception):
    """Raised within a training, or other work in a thread, that nobody waits for any more."""


class TrainedEnsembles:
    """Trains ensembles of independent seeds; XLA leaves the interpreter free, so what is begun early costs no time.

    The result does not depend on which thread trains, or on what else is at work.
    """

    def __init__(self, seed: int, *, progress: Progress | None = None, cache: EnsembleCache | None = None) -> None:
        self._seed, self._progress, self._cache, self._closed = seed, progress, cache, threading.Event()
        # One at a time: the claims are what a run waits for, and on two cores a second training would slow them down.
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="training")
        self._begun: dict[Recipe, Future[TrainResult]] = {}
        self._seen: dict[Recipe, tuple[str, int, int]] = {}
        self.wait = True
        """Whether `get` waits; if not, it begins the training and raises `NotReady` until that is done."""
        self.kept: list[Recipe] = []
        """Those that were not trained now, but kept from an earlier run."""

    @property
    def begun(self) -> tuple[Recipe, ...]:
        """What has been trained, or is being trained."""
        return tuple(self._begun)

    def begin(self, *recipes: Recipe) -> None:
        """Start training, in this order; `get` waits for it."""
        for recipe in recipes:
            if recipe not in self._begun:
                self._seen[recipe] = f"training {recipe}", 0, recipe.config.steps
                self._begun[recipe] = self._pool.submit(self._made, recipe)

    def future(self, recipe: Recipe) -> Future[TrainResult]:
        """The ensemble as something to wait for in another thread."""
        self.begin(recipe)
        return self._begun[recipe]

    def get(self, recipe: Recipe) -> TrainResult:
        """The ensemble, trained now if need be; progress is reported here, and so by one thread only.

        Raises: NotReady where it would have to wait and is not `wait`.
        """
        future = self.future(recipe)
        if not (self.wait or future.done()):
            raise NotReady(str(recipe))
        while not wait([future], timeout=REPORT_SECONDS).done:
            if self._progress is not None:
                self._progress(*self._seen[recipe])
        return future.result()

    def close(self) -> None:
        """Break off what is not finished, at the next border of a chunk of steps."""
        self._closed.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def stop_if_closed(self) -> None:
        """For work in other threads to call now and then. Raises: Cancelled when nobody waits for it any more."""
        if self._closed.is_set():
            raise Cancelled

    def _made(self, recipe: Recipe) -> TrainResult:
        """Kept from an earlier run, or trained and kept."""
        if self._cache is None:
            return self._train(recipe)
        found = self._cache.get(recipe.task, recipe.config, self._seed)
        if found is not None:
            self.kept.append(recipe)
            return found
        result = self._train(recipe)
        self._cache.put(recipe.task, self._seed, result)
        return result

    def _train(self, recipe: Recipe) -> TrainResult:
        def note(text: str, step: int, total: int) -> None:
            self.stop_if_closed()
            self._seen[recipe] = text.replace("training", f"training {recipe}", 1), step, total

        return train(recipe.task, self._seed, **asdict(recipe.config), progress=note)
