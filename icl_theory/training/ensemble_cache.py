"""Trained ensembles kept between runs, under a digest of everything that determines them.

The digest is taken of the task, the settings, the key, the source code of this package, the versions of the libraries,
the device and the settings of jax that change numbers. For a task or law of another module it is also taken of the
source of every module that is loaded and belongs to no installed package; where a class has no source file, as in a
notebook, nothing is kept.
"""

import datetime
import hashlib
import inspect
import json
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np

from icl_theory.core.checks import InvalidInputError
from icl_theory.core.numerics import generator
from icl_theory.models.files import load_model, save_model
from icl_theory.records.files import DAMAGED, read_npz
from icl_theory.tasks.base import Task
from icl_theory.tasks.written import Written
from icl_theory.training.config import CheckedConfig
from icl_theory.training.state import setup, versions
from icl_theory.training.train import TrainResult

MOST_FILES = 200
"""Ensembles kept; the ones unused for longest are removed first."""
_RESTS_ON = ("core", "tasks", "records", "models", "descent", "risk", "training")
"""The packages of ours that `training` imports, and `records`, which writes its files."""
_FLAGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_threefry_partitionable", "jax_disable_jit")


@dataclass(frozen=True)
class EnsembleCache:
    """A folder of trained ensembles; a file that is damaged or cannot be written is as good as none."""

    folder: Path

    def get(self, task: Task, config: CheckedConfig, seed: int) -> TrainResult | None:
        """The ensemble that `train` would make, bit by bit; None where it is not there."""
        path = self._path(task, config, seed)
        if path is None or not path.is_file():
            return None
        try:
            saved = read_npz(path)
            result = TrainResult(load_model(path), saved["losses"], config, saved["diverged"])
            path.touch()
        except DAMAGED:
            return None
        return result

    def put(self, task: Task, seed: int, result: TrainResult) -> None:
        """Keep an ensemble, and remove the oldest where there are too many."""
        path = self._path(task, result.config, seed)
        if path is None:
            return
        about = json.dumps({"task": task.to_dict(), "seed": seed, **asdict(result.config)}, default=str)
        try:
            save_model(path, result.models, losses=result.losses, diverged=result.diverged, about=np.array(about))
            for old in self.files()[MOST_FILES:]:
                old.unlink(missing_ok=True)
        except OSError:
            return

    def files(self) -> list[Path]:
        """What is kept, the last used first."""
        return sorted(self.folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)

    def _path(self, task: Task, config: CheckedConfig, seed: int) -> Path | None:
        name = digest(task, config, seed)
        return None if name is None else self.folder / f"{name}.npz"


def about(path: Path) -> dict[str, Any]:
    """What a kept ensemble is of: task, seed and settings, with the day it was last used and its bytes."""
    used = datetime.datetime.fromtimestamp(path.stat().st_mtime).isoformat(sep=" ", timespec="minutes")
    found = {"file": path.name, "used": used, "bytes": path.stat().st_size}
    try:
        return found | json.loads(str(read_npz(path)["about"]))
    except DAMAGED:
        return found | {"damaged": True}


def digest(task: Task, config: CheckedConfig, seed: int) -> str | None:
    """A name for the ensemble; None for a task that nothing can be said of, see the head of this file."""
    try:
        own = setup(task, config, generator(seed))
    except InvalidInputError:
        return None  # a task that cannot be written down
    foreign = _foreign_source(task)
    if foreign is None:
        return None
    libraries = {name: version(name) for name in ("flax", "optax", "jaxlib")}
    flags = {name: str(jax.config.values.get(name)) for name in _FLAGS}
    parts = {"run": own, "versions": versions() | libraries, "flags": flags, "source": _package_source()}
    text = json.dumps([parts, foreign], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@cache
def _package_source() -> str:
    """One digest of the files that a training rests on: a change in any of them trains anew."""
    root, found = Path(__file__).parents[1], hashlib.sha256()
    for package in _RESTS_ON:
        for path in sorted((root / package).rglob("*.py")):
            found.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def _foreign_source(task: Task) -> list[str] | None:
    """Digests of the sources behind the classes of a task that are not ours; None where one has no file."""
    classes = {cls for value in _written(task) for cls in type(value).__mro__ if not _ours(cls)}
    if not classes:
        return []
    try:
        paths = {Path(inspect.getfile(cls)) for cls in classes}
        return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths | set(_own_modules()))
    except (OSError, TypeError):
        return None


def _written(value: Any) -> Iterator[Any]:
    """A task and the laws it is made of."""
    yield value
    for field in getattr(value, "__dataclass_fields__", ()):
        part = getattr(value, field)
        if isinstance(part, Written):
            yield from _written(part)


def _ours(cls: type) -> bool:
    return cls.__module__.split(".")[0] in ("icl_theory", "builtins", "abc", "typing")


def _own_modules() -> Iterator[Path]:
    """Files of the loaded modules that are neither Python's nor an installed package's nor ours."""
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")]
    installed.append(Path(__file__).resolve().parents[1])
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if path and path.endswith(".py"):
            file = Path(path).resolve()
            if not any(place in file.parents for place in installed):
                yield file
