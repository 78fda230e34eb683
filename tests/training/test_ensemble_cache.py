"""Trained ensembles kept between runs: the same bits, under a name that everything which matters changes."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest
from small_training import small

from icl_theory import LinearRegression, StudentT, Task
from icl_theory.training import ensemble_cache
from icl_theory.training.ensemble_cache import EnsembleCache, about, digest

TASK = LinearRegression(3, noise_std=0.2)
RESULT = small()


def test_same_bits(tmp_path: Path) -> None:
    """What was put comes back, dtypes included, and for nothing else."""
    cache = EnsembleCache(tmp_path / "new")
    assert cache.get(TASK, RESULT.config, 0) is None
    cache.put(TASK, 0, RESULT)
    found = cache.get(TASK, RESULT.config, 0)
    assert found is not None
    for one, other in zip(jax.tree.leaves(found.models), jax.tree.leaves(RESULT.models), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    np.testing.assert_array_equal(found.losses, RESULT.losses, strict=True)
    np.testing.assert_array_equal(found.diverged, RESULT.diverged, strict=True)
    assert found.config == RESULT.config
    assert cache.get(TASK, RESULT.config, 1) is None
    assert cache.get(TASK, replace(RESULT.config, batch=9), 0) is None
    assert cache.get(LinearRegression(3, noise_std=0.25), RESULT.config, 0) is None


def test_damaged(tmp_path: Path) -> None:
    """A damaged file is as good as none, and is written again."""
    cache = EnsembleCache(tmp_path)
    cache.put(TASK, 0, RESULT)
    [path] = cache.files()
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"no zip file"):
        path.write_bytes(content)
        assert cache.get(TASK, RESULT.config, 0) is None
        assert about(path)["damaged"]
    cache.put(TASK, 0, RESULT)
    assert cache.get(TASK, RESULT.config, 0) is not None


def test_unwritable(tmp_path: Path) -> None:
    """A folder that cannot be made costs the cache, not the run."""
    (tmp_path / "file").touch()
    cache = EnsembleCache(tmp_path / "file" / "folder")
    cache.put(TASK, 0, RESULT)
    assert cache.get(TASK, RESULT.config, 0) is None


def test_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ones unused for longest are removed; to be read is to be used."""
    monkeypatch.setattr(ensemble_cache, "MOST_FILES", 2)
    cache, clock = EnsembleCache(tmp_path), iter(range(10, 100))

    def age() -> None:
        for path in reversed(cache.files()):
            import os

            moment = next(clock)
            os.utime(path, (moment, moment))

    for seed in (0, 1):
        cache.put(TASK, seed, RESULT)
        age()
    assert cache.get(TASK, RESULT.config, 0) is not None
    cache.put(TASK, 2, RESULT)
    assert [cache.get(TASK, RESULT.config, seed) is not None for seed in (0, 1, 2)] == [True, False, True]


def test_about(tmp_path: Path) -> None:
    """A file says what it is of."""
    cache = EnsembleCache(tmp_path)
    cache.put(TASK, 5, RESULT)
    said = about(cache.files()[0])
    assert (said["task"]["type"], said["seed"], said["layers"], said["steps"]) == ("LinearRegression", 5, 2, 23)
    assert said["bytes"] == cache.files()[0].stat().st_size
    json.dumps(said)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_package_source", lambda: "another version of the code"),
        ("versions", lambda: {"jax": "0.0", "numpy": "0.0", "device": "abacus"}),
        ("version", lambda name: "0.0"),
    ],
)
def test_everything_counts(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    """Another version of the code, of a library, another device: another name."""
    before = digest(TASK, RESULT.config, 0)
    monkeypatch.setattr(ensemble_cache, name, value)
    assert digest(TASK, RESULT.config, 0) not in (before, None)


def test_flags_count() -> None:
    """So do settings of jax that change numbers."""
    before = digest(TASK, RESULT.config, 0)
    with jax.enable_x64(True):
        assert digest(TASK, RESULT.config, 0) != before
    assert digest(TASK, RESULT.config, 0) == before


def test_code_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest of the package is of its files: one byte more in any that training rests on changes it."""
    root = tmp_path / "icl_theory"
    for package in ensemble_cache._RESTS_ON:
        (root / package).mkdir(parents=True)
        (root / package / "code.py").write_text("x = 1\n")
    monkeypatch.setattr(ensemble_cache, "__file__", str(root / "training" / "ensemble_cache.py"))
    source = ensemble_cache._package_source.__wrapped__
    before = source()
    assert source() == before
    for package in ensemble_cache._RESTS_ON:
        (root / package / "code.py").write_text("x = 2\n")
        assert source() != before
        (root / package / "code.py").write_text("x = 1\n")


OWN = """
from dataclasses import dataclass
from icl_theory import LinearRegression

@dataclass(frozen=True, eq=False)
class Shifted(LinearRegression):
    def sample_inputs(self, rng, shape):
        return 0.5 + super().sample_inputs(rng, shape)
"""


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_own_class(tmp_path: Path) -> None:
    """A task of another file is named by its code too, which its numbers do not say."""
    path = tmp_path / "shifted_task_of_a_test.py"
    path.write_text(OWN)
    try:
        task: Task = loaded(path).Shifted(3)
        before = digest(task, RESULT.config, 0)
        assert before is not None
        path.write_text(OWN.replace("0.5", "0.7"))
        assert digest(loaded(path).Shifted(3), RESULT.config, 0) not in (before, None)
        path.unlink()
        assert digest(task, RESULT.config, 0) is None
    finally:
        sys.modules.pop(path.stem, None)


def test_no_source() -> None:
    """A class that was typed in has no file, so nothing can be said of its code: nothing is kept."""
    space: dict[str, Any] = {"__name__": "__typed__"}
    sys.modules["__typed__"] = ModuleType("__typed__")
    try:
        exec(OWN, space)
        assert digest(space["Shifted"](3), RESULT.config, 0) is None
    finally:
        del sys.modules["__typed__"]


def test_own_law() -> None:
    """A law of a test's own file counts as foreign code as well."""

    class Own(StudentT):
        pass

    assert ensemble_cache._foreign_source(LinearRegression(2, inputs=StudentT(5))) == []
    assert ensemble_cache._foreign_source(LinearRegression(2, inputs=Own(5)))
