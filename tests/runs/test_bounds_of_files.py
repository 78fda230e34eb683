"""Bound versus rank for weights in a file: what is typed, what is read, what is said of it, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import here, red_baseline

from icl_theory import Layout, LinearRegression, load_model, rank_sweep, save_model, train
from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.runs.bounds_config import SweepConfig
from icl_theory.runs.made_models import _weights

RNG = np.random.default_rng(3)
FEW = ("--samples", "16", "--tasks", "2", "--demonstrations", "20", "--shots", "5")
OPTIONS: dict[str, Any] = {"demonstrations": 20, "shots": 5, "clip": 4.0, "samples": 16, "tasks": 2, "key": 0}


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """Four layers of Q, K, V of two rows and an output matrix, inputs of dimension 3."""
    shapes = {"W_Q": (2, 4), "W_K": (2, 4), "W_V": (2, 4), "W_O": (4, 2)}
    arrays: dict[str, Any] = {name: 0.4 * RNG.standard_normal((4, *shape)) for name, shape in shapes.items()}
    np.savez(tmp_path / "theirs.npz", **arrays)
    np.save(tmp_path / "covariance.npy", np.diag([2.0, 1.0, 0.5]))
    return tmp_path / "theirs.npz"


def test_one_command(theirs: Path) -> None:
    """The sweep of the command is that of five lines of Python, and what was read is said."""
    covariance = theirs.with_name("covariance.npy")
    out = theirs.with_name("out")
    words = ("--readout", "plus", "--covariance", str(covariance), "--modules", "key", "--layer-indices", "2")
    done = here("bounds", "--model", str(theirs), *words, *FEW, "--noise-std", "0.3", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    task = LinearRegression(3, np.load(covariance), noise_std=0.3)
    model = load_model(theirs, Layout(readout="plus"))
    sweep = rank_sweep(model, task, modules=("key",), layer_indices=(2,), **OPTIONS)
    assert [entry["gap"]["value"] for entry in document["sweep"]] == [entry["gap"]["value"] for entry in sweep]
    assert {entry["layer"] for entry in document["sweep"]} == {2}
    own = document["configuration"]
    assert (own["dim"], own["layers"], own["covariance"]) == (3, 4, task.covariance.tolist())
    assert own["file"] == fingerprint_of(model)
    assert "read output: W_O, (4, 4, 2)" in done.stderr
    assert "read Model(layers=4, token_dim=4, readout='plus'), read as W h, [x; y]" in done.stderr
    assert (out / "bound_versus_rank.pdf").is_file()
    assert (out / "column_key_2.pdf").is_file()
    again = here("bounds", "--model", str(theirs), *words, *FEW, "--noise-std", "0.3", "--out", str(out), "--resume")
    assert again.returncode == 0, again.stderr
    np.save(covariance, np.eye(3))  # the same words mean other numbers
    line = red_baseline(
        here("bounds", "--model", str(theirs), *words, *FEW, "--noise-std", "0.3", "--out", str(out), "--resume")
    )
    assert "covariance [[1.0, 0.0, 0.0]" in line


def test_a_run_of_ours(tmp_path: Path) -> None:
    """The directory that a training left is a model: an ensemble, which says itself what it is."""
    result = train(LinearRegression(2, noise_std=0.5), 0, layers=1, shots=5, steps=10, seeds=3)
    save_model(tmp_path / "weights.npz", result.models, diverged=result.diverged)
    done = here("bounds", "--model", str(tmp_path), *FEW, "--ranks", "1", "3", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert {entry["seed"] for entry in document["sweep"]} == {0, 1, 2}
    assert document["configuration"]["dim"] == 2


def test_other_tasks(tmp_path: Path) -> None:
    """Vector labels and classes: the input dimension is what the labels leave of the token."""
    for task, labels, options in (("vector", 2, ("--outputs", "2")), ("classification", 1, ("--loss", "zero_one"))):
        rng = np.random.default_rng(0)
        np.savez(tmp_path / "m.npz", v=rng.standard_normal((4, 4)), k=np.eye(4), q=np.eye(4))
        done = here(
            *(
                "bounds",
                "--model",
                str(tmp_path / "m.npz"),
                "--task",
                task,
                *options,
                *FEW,
                "--json",
                "--modules",
                "query",
            )
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["configuration"]["dim"] == 4 - labels


def test_exchanged_weights(tmp_path: Path) -> None:
    """Entries of one model and weights of another, of the same shape, never make one table."""
    words = ("bounds", "--model", "random", "--seeds", "1", "--dim", "2", *FEW, "--out", str(tmp_path / "run"))
    assert here(*words).returncode == 0
    save_model(
        tmp_path / "run" / "weights.npz",
        _weights(SweepConfig(model="random", seeds=1, dim=2, seed=5), LinearRegression(2), lambda *_: None)[0],
        diverged=np.zeros(0, int),
    )
    assert "entries and weights of one run" in red_baseline_last(here(*words, "--resume"))


def red_baseline_last(done: Any) -> str:
    """The last line, where the environment has been told before."""
    assert done.returncode == 2, done.stderr
    return done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "traned"), ("model: got 'traned'", "trained, gradient-descent, optimum, random, or the path")),
        (("--model", "FILE", "--dim", "7"), ("dim: got 7, and a file with dim 3",)),
        (("--model", "FILE", "--layers", "2"), ("layers: got 2, and a file with layers 4",)),
        (("--model", "FILE", "--layer-indices", "4"), ("--layer-indices: got 4", "from 0 to 3")),
        (("--model", "FILE", "--ranks", "5"), ("ranks: got 5",)),
        (("--model", "FILE", "--names", "value=none"), ("names: got value=none",)),
        (("--model", "FILE", "--covariance", "1", "2"), ("covariance: got 2 numbers", "3 numbers")),
        (("--model", "FILE", "--kind", "softmax"), ("softmax", "linear attention")),
        (("--readout", "plus"), ("readout: got plus with a trained model", "--model")),
        (("--names", "value=v"), ("names: got",)),
        (("--model", "optimum", "--seeds", "2"), ("seeds: got 2 with a optimum model",)),
        (("--model", "random", "--steps", "2"), ("steps: got 2 with a random model",)),
        (("--task", "classification", "--noise-std", "0.3"), ("--noise-std: got 0.3 with the classification task",)),
        (("--task", "vector", "--nonzero", "3"), ("nonzero: got 3 with the vector task",)),
        (("--task", "vector", "--model", "gradient-descent"), ("labels of 3 entries",)),
    ],
)
def test_refused(theirs: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """One line, before anything is trained."""
    given = [str(theirs) if word == "FILE" else word for word in arguments]
    done = here("bounds", *given, *FEW)
    line = red_baseline_last(done)
    for word in words:
        assert word in line
