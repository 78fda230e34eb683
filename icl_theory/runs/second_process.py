"""A second process that examines claims of this package, one at a time, next to the one that asks for them.

It is started with the interpreter alone, not with `multiprocessing`, so that the script of a user is not run again.
It trains nothing: an ensemble comes from the folder in which the first process keeps it, or the claim has to wait.
"""

import contextlib
import dataclasses
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import CaseSettings
from icl_theory.claims.engine.examine import Outcome, examine
from icl_theory.claims.engine.profiles import Profile
from icl_theory.claims.engine.trained_ensembles import NotReady, Recipe, TrainedEnsembles
from icl_theory.claims.registry import load
from icl_theory.core.cache_folders import keep_programs
from icl_theory.training.ensemble_cache import EnsembleCache
from icl_theory.training.train import TrainResult


class _Kept(TrainedEnsembles):
    """Ensembles that another process trains."""

    def __init__(self, seed: int, cache: EnsembleCache) -> None:
        super().__init__(seed, cache=cache)
        self._shared, self._found = cache, dict[Recipe, TrainResult]()

    def get(self, recipe: Recipe) -> TrainResult:
        """The ensemble. Raises: NotReady while it is not there."""
        if recipe not in self._found:
            found = self._shared.get(recipe.task, recipe.config, self._seed)
            if found is None:
                raise NotReady(str(recipe))
            self._found[recipe] = found
        return self._found[recipe]


class SecondProcess:
    """The process as the first one sees it. Raises: OSError if it cannot be started."""

    def __init__(self, profile: Profile, seed: int, folder: Path, z: float, settings: CaseSettings) -> None:
        import jax

        programs = jax.config.values.get("jax_compilation_cache_dir")
        command = [sys.executable, "-c", "from icl_theory.runs.second_process import serve; serve()"]
        # Two processes with as many threads as processors each would wait for one another.
        variables = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | os.environ
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables)
        self._lock = threading.Lock()
        self._send({"profile": profile, "seed": seed, "folder": str(folder), "z": z, "programs": programs})
        self._send(settings)

    def examine(self, label: str) -> Outcome | None:
        """What `examine` finds, with the seconds it took; None if it has to wait for an ensemble.

        Raises: EOFError or OSError if the process is gone.
        """
        with self._lock:
            self._send(label)
            found = pickle.load(self._stream(self._process.stdout))
        return None if found is None else Outcome(claim=load(label), **found)

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                self._stream(stream).close()
        self._process.wait()

    def _send(self, message: Any) -> None:
        stream = self._stream(self._process.stdin)
        pickle.dump(message, stream)
        stream.flush()

    @staticmethod
    def _stream(stream: Any) -> BinaryIO:
        return stream


def serve() -> None:
    """Read a setting and then labels from standard input, and answer each; ends with the input."""
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a claim prints must not get among the answers
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        asked = _messages(sys.stdin.buffer)
        setting = next(asked)
        if setting["programs"] is not None:
            keep_programs(setting["programs"])
        factory = CaseFactory(setting["profile"], setting["seed"], settings=next(asked))
        factory.ensembles = _Kept(setting["seed"], EnsembleCache(Path(setting["folder"])))
        for label in asked:
            pickle.dump(_examined(label, factory, setting["z"]), answers)
            answers.flush()


def _messages(stream: BinaryIO) -> Iterator[Any]:
    while True:
        yield pickle.load(stream)


def _examined(label: str, factory: CaseFactory, z: float) -> dict[str, Any] | None:
    """The fields of the outcome but the claim itself, whose functions no other process can be sent."""
    started = time.perf_counter()
    try:
        outcome = examine(load(label), factory, z=z)
    except NotReady:
        return None
    found = {field.name: getattr(outcome, field.name) for field in dataclasses.fields(outcome)}
    del found["claim"]
    return found | {"seconds": time.perf_counter() - started}
