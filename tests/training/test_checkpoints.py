"""Runs that survive: bit-identical after kill -9, broken checkpoints passed over, other runs rejected."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

from icl_theory.tasks.laws import Uniform
from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training import checkpoints
from icl_theory.training.checkpoints import Checkpoints, CheckpointWarning
from icl_theory.training.train import ChunkRecord, TrainResult, train

STEPS, BORDERS = 23, [3, 6, 9, 12, 15, 18, 21, 23]
TASK = LinearRegression(3, noise_std=0.2)


class CutOffError(Exception):
    """Stands for the end of a process."""


def run(directory: Path | None = None, *, resume: bool = False, until: int = STEPS, **changes: object) -> TrainResult:
    """A small run, cut off after `until` steps."""
    options: dict = {"layers": 2, "shots": 7, "steps": STEPS, "seeds": 3, "batch": 8, "key": 0, "task": TASK}
    options |= changes

    def cut(_text: str, step: int, _steps: int) -> None:
        if until <= step < STEPS:
            raise CutOffError

    store = None if directory is None else Checkpoints(directory, resume=resume)
    return train(options.pop("task"), options.pop("key"), checkpoints=store, progress=cut, **options)


def interrupted(directory: Path, until: int, resume: bool = False) -> None:
    with pytest.raises(CutOffError):
        run(directory, until=until, resume=resume)


def assert_same(a: TrainResult, b: TrainResult) -> None:
    np.testing.assert_array_equal(a.losses, b.losses)
    jax.tree.map(np.testing.assert_array_equal, a.models, b.models)
    assert a.config == b.config


@pytest.fixture(scope="module")
def whole() -> TrainResult:
    """The same run without interruption or checkpoints."""
    return run()


@pytest.fixture(scope="module")
def cut_at_15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of a run that ended after 15 steps; tests copy it."""
    directory = tmp_path_factory.mktemp("cut")
    interrupted(directory, 15)
    return directory


@pytest.fixture
def cut(cut_at_15: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(cut_at_15, tmp_path / "checkpoints"))


def steps(directory: Path) -> list[int]:
    return sorted(int(path.name) for path in directory.iterdir())


def test_saving_keeps_three(whole: TrainResult, tmp_path: Path) -> None:
    """Saving changes nothing and keeps three."""
    assert_same(run(tmp_path / "new"), whole)
    assert steps(tmp_path / "new") == BORDERS[-checkpoints.KEEP :]


@pytest.mark.parametrize("until", [3, 15, 21])
def test_resumed_is_bit_identical(whole: TrainResult, tmp_path: Path, until: int) -> None:
    interrupted(tmp_path, until)
    assert_same(run(tmp_path, resume=True), whole)


def test_interrupted_often(whole: TrainResult, tmp_path: Path) -> None:
    """Interrupted again and again."""
    interrupted(tmp_path, 3)
    for until in (6, 12, 15):
        interrupted(tmp_path, until, resume=True)
    assert_same(run(tmp_path, resume=True), whole)
    assert_same(run(tmp_path, resume=True), whole)  # a run that had ended gives its result again


@pytest.mark.parametrize(
    "model",
    [
        {"tasks": 5, "prompts_per_task": 2, "heads": 2, "tied": True},
        {"kind": "softmax", "mask": "causal", "hidden": 5, "activation": "relu"},
        {"task": LinearRegression(3, inputs=Uniform()), "layers": 1},
    ],
    ids=["finite set of heads", "softmax", "uniform"],
)
def test_every_model_resumes(tmp_path: Path, model: dict) -> None:
    """A finite set is drawn again from the key at every start, and must come out the same."""
    with pytest.raises(CutOffError):
        run(tmp_path, until=9, **model)
    assert_same(run(tmp_path, resume=True, **model), run(**model))
    other = {"tasks": 6} | {k: v for k, v in model.items() if k != "tasks"}
    with pytest.raises(ValueError, match="tasks 6"):
        run(tmp_path, resume=True, **other)


def test_every_nth_chunk_and_the_end(tmp_path: Path) -> None:
    train(TASK, 0, layers=1, shots=7, steps=STEPS, seeds=2, batch=4, checkpoints=Checkpoints(tmp_path, every=3))
    assert steps(tmp_path) == [9, 18, 23]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def largest(directory: Path) -> Path:
    return max((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("damage", [flip, truncate, Path.unlink])
@pytest.mark.parametrize("seal", [True, False])
def test_broken_checkpoint(whole: TrainResult, cut: Path, damage: object, seal: bool) -> None:
    """A broken checkpoint is passed over."""
    newest = cut / "15"
    assert callable(damage)
    damage(newest / checkpoints.SEAL if seal else largest(newest))
    with pytest.warns(CheckpointWarning, match=r"step 15 is rejected: .*; going on from step 12"):
        result = run(cut, resume=True)
    assert_same(result, whole)
    assert steps(cut) == BORDERS[-checkpoints.KEEP :]


def test_every_file_is_sealed(cut: Path) -> None:
    """A flipped bit anywhere is noticed."""
    place = cut / "15"
    files = [path for path in place.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        before = path.read_bytes()
        flip(path)
        with pytest.raises(checkpoints._BrokenError):
            checkpoints._unsealed(place)
        path.write_bytes(before)
    assert checkpoints._unsealed(place)["step"] == 15


def test_all_broken(cut: Path) -> None:
    """If all are broken, the error says why."""
    for step in steps(cut):
        truncate(largest(cut / str(step)))
    (cut / "15" / checkpoints.SEAL).unlink()
    with pytest.raises(
        ValueError, match=r"step 15 is rejected: it is half-written; .*step 12 .* corrupted.*start again"
    ):
        run(cut, resume=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": 0.01}, r"learning_rate 0.01 \(saved: 0.02\)"),
        ({"seeds": 4}, r"seeds 4 \(saved: 3\)"),
        ({"key": 1}, "key"),
        ({"task": LinearRegression(3, noise_std=0.3)}, r"noise_std 0.3 \(saved: 0.2\)"),
        ({"task": LinearRegression(3, np.diag([1.0, 1, 2]), noise_std=0.2)}, "got covariance"),
        ({"task": LinearRegression(3, None, np.diag([1.0, 1, 2]), noise_std=0.2)}, "got task_covariance"),
    ],
)
def test_other_run(cut: Path, changes: dict, words: str) -> None:
    """Another run is rejected."""
    with pytest.raises(ValueError, match=words):
        run(cut, resume=True, **changes)
    assert steps(cut) == [9, 12, 15]


def test_other_layout(cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another layout is rejected."""
    monkeypatch.setattr(checkpoints, "LAYOUT", 2)
    with pytest.raises(ValueError, match="layout 1, expected layout 2"):
        run(cut, resume=True)


def test_other_versions(whole: TrainResult, cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other versions are a warning."""
    monkeypatch.setattr("icl_theory.training.train.versions", lambda: {"jax": "0"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert_same(run(cut, resume=True), whole)
    assert any("resumed with jax 0" in str(warning.message) for warning in caught)


def test_nothing_to_resume(cut: Path, tmp_path: Path) -> None:
    """Nothing to resume and nothing to overwrite."""
    with pytest.raises(ValueError, match="got none"):
        run(tmp_path / "empty", resume=True)
    with pytest.raises(ValueError, match="up to step 15"):
        run(cut)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="a directory"):
        run(tmp_path / "file")
    with pytest.raises(ValueError, match="every"):
        train(TASK, 0, layers=1, shots=7, checkpoints=Checkpoints(tmp_path, every=0))


def test_orbax_import() -> None:
    """Orbax is loaded only when used."""
    code = """
import sys
from icl_theory import LinearRegression, train
train(LinearRegression(2), 0, layers=1, shots=3, steps=2, seeds=1, batch=2)
print("orbax" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.strip() == "False"


def stopped(directory: Path | None = None, resume: bool = False, cut_at: int | None = None) -> tuple:
    """A one-layer run with an early stop, and the records it gave."""
    records: list[ChunkRecord] = []

    def cut(_text: str, step: int, _steps: int) -> None:
        if step == cut_at:
            raise CutOffError

    result = train(
        TASK,
        0,
        layers=1,
        shots=7,
        steps=400,
        seeds=2,
        stop_excess=0.05,
        observe=records.append,
        progress=cut,
        checkpoints=None if directory is None else Checkpoints(directory, resume=resume),
    )
    return result, records


def test_records_after_resume(tmp_path: Path) -> None:
    """Excess and losses of the chunks before the interruption are reported again; the stop comes at the same step."""
    result, records = stopped()
    width = records[0].step
    assert [record.step for record in records] == list(range(width, records[-1].step + 1, width))
    assert 2 * width < records[-1].step < 400
    with pytest.raises(CutOffError):
        stopped(tmp_path, cut_at=2 * width)
    for _ in range(2):  # the second time the run has already ended
        again, records_again = stopped(tmp_path, resume=True)
        assert_same(again, result)
        assert records_again == records


KILLED = """
import sys, warnings
import numpy as np
from icl_theory import LinearRegression, train
from icl_theory.training.checkpoints import Checkpoints, CheckpointWarning
warnings.simplefilter("error")
warnings.simplefilter("always", CheckpointWarning)  # a kill between Orbax's last word and the seal
place, mode = sys.argv[1:]
store = None if mode == "plain" else Checkpoints(place + "/checkpoints", resume=mode == "resume")
print("ready", flush=True)
task = LinearRegression(4, noise_std=0.2)
result = train(task, 3, layers=2, shots=9, steps=4000, seeds=3, batch=64, checkpoints=store)
np.savez(place + "/result.npz", losses=result.losses, value=result.models.value, query=result.models.query)
"""


def launch(place: Path, mode: str) -> subprocess.Popen:
    place.mkdir(exist_ok=True)
    return subprocess.Popen([sys.executable, "-c", KILLED, str(place), mode], stdout=subprocess.PIPE)


@pytest.mark.slow  # half a minute: a fresh process for every kill
def test_killed(tmp_path: Path) -> None:
    """kill -9 at many moments, saving included; the result is that of the run that nobody touched."""
    with launch(tmp_path / "whole", "plain") as process:
        assert process.wait(100) == 0
    moments = random.Random(0)
    place, mode, kills = tmp_path / "killed", "save", 0
    for _ in range(12):
        process = launch(place, mode)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0.4, 1.6))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait()
        process.stdout.close()
        found = list((place / "checkpoints").glob("*")) if (place / "checkpoints").exists() else []
        sealed = [path for path in found if (path / checkpoints.SEAL).exists()]
        mode = "resume" if sealed else mode
        if not sealed:
            shutil.rmtree(place / "checkpoints", ignore_errors=True)
    assert kills >= 3
    last = subprocess.run(
        [sys.executable, "-c", KILLED, str(place), mode], capture_output=True, timeout=100, check=True
    )
    assert b"Traceback" not in last.stderr
    with np.load(tmp_path / "whole" / "result.npz") as a, np.load(place / "result.npz") as b:
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
