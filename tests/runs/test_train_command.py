"""`icl-theory train`: the run directory is complete, survives kill -9 and is never overwritten unasked."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import environment, red_baseline
from command_line import here as command

from icl_theory.figures.loss_curve import loss_curve
from icl_theory.runs.directory import metrics_file
from icl_theory.training.checkpoints import SEAL

FILES = ["checkpoints", "config.json", "loss.pdf", "loss.png", "metrics.jsonl", "weights.npz"]
QUICK = ("train", "--dim", "3", "--shots", "8", "--steps", "60", "--seeds", "2", "--batch", "16")
LONG = ("train", "--layers", "3", "--steps", "5000", "--batch", "128", "--seeds", "3")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished run directory and the document of that run."""
    out = tmp_path_factory.mktemp("runs") / "quick"
    finished = command(*QUICK, "--out", str(out), "--json")
    assert finished.returncode == 0, finished.stderr
    return out, json.loads(finished.stdout)


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def assert_same_files(a: Path, b: Path) -> None:
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    assert (a / "loss.pdf").read_bytes() == (b / "loss.pdf").read_bytes()
    with np.load(a / "weights.npz") as x, np.load(b / "weights.npz") as y:
        assert sorted(x.files) == ["diverged", "key", "losses", "model", "query", "value"]
        for name in x.files:
            np.testing.assert_array_equal(x[name], y[name])


def test_run_directory(done: tuple[Path, dict[str, Any]]) -> None:
    """The run directory is complete."""
    out, document = done
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert json.loads((out / "config.json").read_text())["configuration"] == document["configuration"]
    records = lines(out)
    assert [record["step"] for record in records] == list(range(6, 61, 6))
    with np.load(out / "weights.npz") as file:
        assert file["value"].shape == (2, 1, 4, 4)
        np.testing.assert_allclose(records[0]["losses"], file["losses"][:, :6].mean(1), rtol=1e-6)
    assert records[0]["loss"] == pytest.approx(np.mean(records[0]["losses"]))
    # The exact risk of the last weights is the same whether it comes from the metrics or from the document.
    assert document["excess"] == pytest.approx(records[-1]["excess"], rel=1e-9)
    assert document["one_layer_optimum"] == records[-1]["optimum"] == pytest.approx(3 * 4 / 12)
    assert document["steps_done"] == 60
    assert document["diverged"] == []


def test_existing_run(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """An existing run is left alone."""
    out = Path(shutil.copytree(done[0], tmp_path / "run"))
    place = ("--out", str(out))
    assert "not empty" in red_baseline(command(*QUICK, *place))
    other = command(*QUICK, *place, "--resume", "--learning-rate", ".01")
    assert "learning_rate 0.01 (saved: 0.02)" in red_baseline(other)
    assert "one of the two" in red_baseline(command(*QUICK, *place, "--resume", "--overwrite"))
    assert_same_files(out, done[0])
    (out / "notes.txt").touch()
    again = command(*QUICK, *place, "--overwrite")
    assert again.returncode == 0, again.stderr
    assert "exact" in again.stdout
    assert_same_files(out, done[0])
    assert (out / "notes.txt").exists()


def test_nothing_to_resume(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """An absent or empty directory, a run killed before its first checkpoint was whole: it starts, and ends alike."""
    for begun in range(5):
        out = tmp_path / str(begun)
        if begun == 1:
            out.mkdir()
            (out / ".config.json.abc.part").write_text("{")  # killed while the file was written
        if begun > 1:
            shutil.copytree(done[0], out)
            shutil.rmtree(out / "checkpoints")
            (out / "weights.npz").unlink()
        if begun == 3:
            (out / "checkpoints" / "6").mkdir(parents=True)  # without a seal
        if begun == 4:
            (out / "metrics.jsonl").write_bytes((out / "metrics.jsonl").read_bytes()[:100])
        finished = command(*QUICK, "--out", str(out), "--resume")
        assert finished.returncode == 0, finished.stderr
        (out / ".config.json.abc.part").unlink(missing_ok=True)
        assert_same_files(out, done[0])


def test_not_resumable(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """What is another run, or no run at all, is an error."""
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    assert "not empty" in red_baseline(command(*QUICK, "--out", str(tmp_path / "other"), "--resume"))
    out = Path(shutil.copytree(done[0], tmp_path / "run"))
    shutil.rmtree(out / "checkpoints")
    assert "seed 1 (saved: 0)" in red_baseline(command(*QUICK, "--out", str(out), "--resume", "--seed", "1"))


def test_broken_checkpoint(done: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """A broken checkpoint is one line and the run goes on."""
    out = Path(shutil.copytree(done[0], tmp_path / "run"))
    (out / "checkpoints" / "60" / SEAL).write_text("{")
    (out / "weights.npz").unlink()
    with (out / "metrics.jsonl").open("rb+") as file:
        file.truncate(1000)  # a line half-written
    resumed = command(*QUICK, "--out", str(out), "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert "icl-theory: the checkpoint of step 60 is rejected: seal.json cannot be read; going on from step 54" in (
        resumed.stderr.splitlines()
    )
    assert_same_files(out, done[0])


def test_divergence_is_status_1() -> None:
    wild = command(*QUICK, "--layers", "2", "--learning-rate", "1e12")
    assert wild.returncode == 1
    assert "not sound: training diverged for seeds [0, 1]" in wild.stderr


def test_early_stop() -> None:
    words = [*QUICK, "--stop-excess", "0.2", "--json"]
    words[words.index("--steps") + 1] = "400"
    stopped = command(*words)
    document = json.loads(stopped.stdout)
    assert document["steps_done"] < 400
    assert max(document["excess"]) <= 0.2


@pytest.mark.slow  # a fresh process for every kill
def test_killed(tmp_path: Path) -> None:
    """kill -9, again and again: weights, metrics and figure are in the end those of the run that nobody touched."""
    whole, out = tmp_path / "whole", tmp_path / "killed"
    assert command(*LONG, "--out", str(whole)).returncode == 0
    moments, kills, mode = np.random.default_rng(0), 0, ()
    for attempt in range(40):
        arguments = [sys.executable, "-m", "icl_theory", *LONG, "--out", str(out), *mode]
        variables = environment(tmp_path)
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, env=variables) as process:
            assert process.stderr is not None
            process.stderr.readline()  # the device: training begins
            time.sleep(moments.uniform(0.2, 1.5 + 0.5 * attempt))  # a busy machine compiles for longer than that
            ended = process.poll() is not None
            process.kill()
        if ended:
            break
        kills += 1
        sealed = any((out / "checkpoints").glob(f"*/{SEAL}"))
        mode = ("--resume",) if sealed else ("--overwrite",)
    assert kills >= 3
    final = command(*LONG, "--out", str(out), "--resume")
    assert final.returncode == 0, final.stderr
    assert_same_files(out, whole)


def test_metrics(tmp_path: Path) -> None:
    """Whatever prefix of the file a crash leaves, the lines that come again make it whole."""
    records = [{"step": i, "loss": 1 / (i + 1)} for i in range(4)]
    with metrics_file(tmp_path) as write:
        for record in records:
            write(record)
    path = tmp_path / "metrics.jsonl"
    whole = path.read_bytes()
    assert lines(tmp_path) == records
    for left in (*range(0, len(whole), 7), len(whole)):
        path.write_bytes(whole[:left])
        with metrics_file(tmp_path) as write:
            for record in records:
                write(record)
        assert path.read_bytes() == whole
    with metrics_file(tmp_path) as write:  # an older checkpoint, then other numbers
        write(records[0])
        write({"step": 1, "loss": "inf"})
    assert lines(tmp_path) == [records[0], {"step": 1, "loss": "inf"}]


def test_diverged_seed(tmp_path: Path) -> None:
    """Loss curve with a diverged seed."""
    losses = np.abs(np.random.default_rng(0).standard_normal((3, 501))).astype(np.float32)
    losses[0, 100:] = np.inf
    losses[1, 300] = np.nan
    files = loss_curve(losses, tmp_path / "loss", optimum=0.5, layers=2)
    assert [file.name for file in files] == ["loss.pdf", "loss.png"]
    before = [file.read_bytes() for file in files]
    assert [file.read_bytes() for file in loss_curve(losses, tmp_path / "loss", optimum=0.5, layers=2)] == before
    with pytest.raises(ValueError, match="losses"):
        loss_curve(losses[0], tmp_path / "loss", optimum=0.5, layers=2)
    with pytest.raises(ValueError, match="svg"):
        loss_curve(losses, tmp_path / "loss", optimum=0.5, layers=2, formats=("svg",))
