"""`train` and `bounds`: every setting reaches the computation, and the document says what came out of it."""

import io
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import error_message
from rich.console import Console

from icl_theory import LinearRegression, gradient_descent_weights, one_layer_optimum, population_risk, random_weights
from icl_theory.report.terminal.training_table import table
from icl_theory.runs import bounds
from icl_theory.runs import train as train_run
from icl_theory.runs.bounds_config import SweepConfig
from icl_theory.runs.train_config import OF_TASKS, TrainRunConfig, make_task
from icl_theory.tasks.laws import Gaussian, StudentT, Uniform
from icl_theory.training.config import TrainConfig
from icl_theory.training.train import train


def kept(monkeypatch: pytest.MonkeyPatch, target: str, result: Any) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of every call of `target`, which returns `result`."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
    monkeypatch.setattr(target, lambda *given, **named: calls.append((given, named)) or result)
    return calls


def test_sweep_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these values is the default one, nor that of another setting."""
    calls = kept(monkeypatch, "icl_theory.truncation.rank_sweep.rank_sweep", [])
    config = SweepConfig(
        **{"model": "random", "dim": 3, "layers": 2, "demonstrations": 31, "shots": 9, "noise_std": 0.7},
        **{"modules": ("key", "all"), "rates": (0.25,), "layer_indices": (1, 0), "samples": 17, "seeds": 5, "tasks": 3},
        **{"clip": 2.5, "loss": "zero_one", "floor": 0.125, "seed": 11, "together": True, "components": "smallest"},
    )
    document = bounds.run(config)
    [((model, task), named)] = calls
    assert np.shape(model.value) == (5, 2, 4, 4)
    assert (task.dim, task.noise_std) == (3, 0.7)
    given = {name: value for name, value in named.items() if name not in ("progress", "finished", "keep")}
    assert given == {
        **{
            "demonstrations": 31,
            "shots": 9,
            "clip": 2.5,
            "samples": 17,
            "tasks": 3,
            "key": 11,
            "layer_indices": (1, 0),
            "together": True,
            "components": "smallest",
            "ranks": None,
        },
        **{"modules": ("key", "all"), "rates": (0.25,), "floor": 0.125, "loss": "zero_one"},
    }
    assert document["configuration"] == {
        field.name: list(value) if isinstance(value := getattr(config, field.name), tuple) else value
        for field in fields(SweepConfig)
    }
    bounds.run(SweepConfig(model="optimum", dim=2, ranks=(2, 1)))
    assert (calls[1][1]["ranks"], calls[1][1]["layer_indices"], calls[1][1]["rates"]) == ((2, 1), None, None)


def test_sweep_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of a sweep are those that were named."""
    calls = kept(monkeypatch, "icl_theory.truncation.rank_sweep.rank_sweep", [])
    plain: dict[str, Any] = {"dim": 3, "shots": 9, "demonstrations": 20, "noise_std": 0.7}
    task = LinearRegression(3, noise_std=0.7)
    bounds.run(SweepConfig(model="optimum", **plain))
    bounds.run(SweepConfig(model="gradient-descent", layers=2, **plain))
    bounds.run(SweepConfig(model="random", seeds=2, seed=4, **plain))
    bounds.run(SweepConfig(model="random", seeds=2, layers=2, seed=4, **plain))
    numbers = np.random.default_rng(4).integers(2**31, size=2)
    expected = [
        [one_layer_optimum(task, shots=9)[0]],
        [gradient_descent_weights(3, layers=2, step_size=9 / (9 + 3 + 1 + 0.49))],
        [random_weights(int(n), layers=1, token_dim=4, scale=1.5) for n in numbers],
        [random_weights(int(n), layers=2, token_dim=4, scale=0.8) for n in numbers],
    ]
    for ((model, _), _), models in zip(calls, expected, strict=True):
        for name in ("value", "key", "query"):
            made = [getattr(member, name) for member in models]
            np.testing.assert_array_equal(getattr(model, name), made if len(made) > 1 else made[0])


def test_ensemble_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """And members that diverged are left out, and named."""
    result = train(LinearRegression(2), 0, layers=1, shots=4, steps=2, seeds=3, batch=2)
    result.diverged[1] = True
    calls = kept(monkeypatch, "icl_theory.training.train.train", result)
    swept = kept(monkeypatch, "icl_theory.truncation.rank_sweep.rank_sweep", [])
    options = {"layers": 3, "heads": 2, "hidden": 4, "shots": 9, "steps": 13, "seeds": 5}
    document = bounds.run(SweepConfig(dim=2, demonstrations=20, seed=6, **options))  # pyright: ignore[reportArgumentType]
    [((task, seed), named)] = calls
    assert (task.dim, seed) == (2, 6)
    assert {name: value for name, value in named.items() if name != "progress"} == options
    assert document["diverged"] == [1]
    np.testing.assert_array_equal(swept[0][0][0].value, result.models.value[[0, 2]])
    result.diverged[:] = True
    with pytest.raises(ValueError, match="no member that converged"):
        bounds.run(SweepConfig(dim=2))


TRAINED: dict[str, Any] = {
    **{"layers": 2, "shots": 9, "steps": 31, "seeds": 3, "batch": 5, "learning_rate": 0.03, "init_scale": 0.3},
    **{"clip_norm": 2.0, "readout": "plus", "stop_excess": None, "heads": 2, "tied": True, "kind": "softmax"},
    **{"mask": "causal", "hidden": 4, "activation": "relu", "sampling": "tokens", "tasks": 6, "prompts_per_task": 2},
}


def test_training_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting of a training reaches it."""
    assert set(TRAINED) == {field.name for field in fields(TrainConfig)}
    calls = kept(monkeypatch, "icl_theory.training.train.train", None)
    monkeypatch.setattr(train_run, "_outcome", lambda *_: {})
    config = TrainRunConfig(task="sparse", dim=4, nonzero=3, noise_std=0.7, inputs="uniform", seed=6, **TRAINED)
    document = train_run.run(config)
    [((task, seed), named)] = calls
    assert (type(task).__name__, task.dim, task.nonzero, task.noise_std, repr(task.inputs), seed) == (
        *("SparseLinearRegression", 4, 3, 0.7, "Uniform()", 6),
    )
    assert {name: value for name, value in named.items() if name in TRAINED} == TRAINED
    assert named["checkpoints"] is None
    assert {name: document["configuration"][name] for name in TRAINED} == TRAINED


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("linear", {"noise_std": 0.7, "inputs": Uniform()}),
        ("sparse", {"noise_std": 0.7, "inputs": Uniform(), "nonzero": 3}),
        ("relu", {"noise_std": 0.7, "inputs": Uniform(), "hidden": 7}),
        ("classification", {"flip_probability": 0.2, "inputs": Uniform()}),
        ("vector", {"noise_std": 0.7, "inputs": Uniform(), "outputs": 4}),
        ("one-hot", {"inputs": Uniform(), "outputs": 4}),
    ],
)
def test_every_task(name: Any, made: dict[str, Any]) -> None:
    """Every task is made as it was named."""
    given: dict[str, Any] = {"noise_std": 0.7, "nonzero": 3, "teacher_hidden": 7, "flip_probability": 0.2, "outputs": 4}
    own = {option: value for option, value in given.items() if name in OF_TASKS[option]}
    config = TrainRunConfig(task=name, dim=5, inputs="uniform", covariance=("4", "3", "2", "1", "0.5"), **own)
    task = make_task(config)
    assert task.dim == 5
    assert {field: getattr(task, field) for field in made} == made
    np.testing.assert_array_equal(task.covariance, np.diag([4.0, 3.0, 2.0, 1.0, 0.5]))
    for option, value in given.items():
        if option not in own:
            with pytest.raises(ValueError, match=f"{option}: got {value} with the {name} task"):
                make_task(replace(config, **{option: value}))


@pytest.mark.parametrize("ending", ["npy", "npz", "csv", "txt"])
def test_covariances(tmp_path: Path, ending: str) -> None:
    """A matrix in a file of any of these kinds; recorded by its numbers."""
    matrix = np.array([[2.0, 0.5], [0.5, 1.0]])
    path = tmp_path / f"matrix.{ending}"
    match ending:
        case "npy":
            np.save(path, matrix)
        case "npz":
            np.savez(path, anything=matrix)
        case _:
            np.savetxt(path, matrix, delimiter="," if ending == "csv" else " ")
    config = TrainRunConfig(dim=2, covariance=(str(path),), task_covariance=("3", "1"))
    task: Any = make_task(config)
    np.testing.assert_array_equal(task.covariance, matrix)
    np.testing.assert_array_equal(task.task_covariance, np.diag([3.0, 1.0]))
    own = train_run.own_fields(config)
    assert (own["covariance"], own["task_covariance"]) == (matrix.tolist(), [[3.0, 0.0], [0.0, 1.0]])
    assert train_run.own_fields(TrainRunConfig())["covariance"] == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("1", "2", "3"), ("covariance: got 3 numbers", "2 numbers, or a file with a (2, 2) matrix")),
        (("1", "x"), ("covariance: got 1 x", "separate numbers by blanks")),
        (("no/such.npy",), ("covariance: got no/such.npy", "check the path")),
        (("1", "-1"), ("covariance", "positive semidefinite")),
        (("nan", "1"), ("covariance", "NaN")),
        (("words.txt",), ("'words.txt', which cannot be read",)),
        (("three.npy",), ("covariance: got shape (3, 3)", "(2, 2)")),
        (("two.npz",), ("covariance: got 2 arrays in 'two.npz'", "keep one")),
        (("objects.npy",), ("'objects.npy', which cannot be read",)),
    ],
)
def test_no_covariances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Anything else is one clear line."""
    monkeypatch.chdir(tmp_path)
    Path("words.txt").write_text("these are words")
    np.save("three.npy", np.eye(3))
    np.savez("two.npz", a=np.eye(2), b=np.eye(2))
    np.save("objects.npy", np.array([{}], dtype=object))
    message = error_message(make_task, TrainRunConfig(dim=2, covariance=given))
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("inputs", "dof", "law"),
    [("gaussian", None, Gaussian()), ("uniform", None, Uniform()), ("student-t", 4.5, StudentT(4.5))],
)
def test_laws(inputs: Any, dof: float | None, law: Any) -> None:
    """A word of the command line names a law."""
    for name in ("linear", "sparse", "relu", "classification", "vector", "one-hot"):
        assert make_task(TrainRunConfig(task=name, inputs=inputs, dof=dof)).inputs == law


def test_degrees_of_freedom() -> None:
    """What would be ignored is an error."""
    assert "no dof with student-t inputs" in error_message(make_task, TrainRunConfig(inputs="student-t"))
    assert "dof 5 with uniform inputs" in error_message(make_task, TrainRunConfig(inputs="uniform", dof=5.0))
    assert "no variance" in error_message(make_task, TrainRunConfig(inputs="student-t", dof=2.0))
    assert "inputs" in error_message(make_task, TrainRunConfig(inputs="cauchy"))  # pyright: ignore[reportArgumentType]


def test_training_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Risks by seed, each over the optimum, and the mean of the last tenth of the losses: 4 steps of 35, rounded up."""
    config = TrainRunConfig(dim=2, shots=6, noise_std=0.5, steps=35, seeds=3, batch=4)
    task = LinearRegression(2, noise_std=0.5)
    result = train(task, 0, layers=1, shots=6, steps=35, seeds=3, batch=4, learning_rate=0.02)
    result.diverged[1] = True
    kept(monkeypatch, "icl_theory.training.train.train", result)
    document = train_run.run(config)
    optimum = one_layer_optimum(task, shots=6)[1]
    assert document["one_layer_optimum"] == optimum
    assert document["steps_done"] == 35
    assert document["diverged"] == [1]
    assert document["population_risk"][1] is document["excess"][1] is None
    for seed in (0, 2):
        risk = population_risk(result.models.member(seed), task, shots=6).value
        assert document["population_risk"][seed]["value"] == risk
        assert document["excess"][seed] == pytest.approx(risk / optimum - 1, rel=1e-12)
    np.testing.assert_allclose(document["last_loss"], result.losses[:, 31:].mean(1), rtol=1e-6)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(table(document))
    lines = [line.split() for line in console.export_text().splitlines() if line.split()]
    assert lines[0] == f"one-layer optimum {optimum:.4g}, 35 steps".split()
    row = next(line for line in lines if line[0] == "2")
    risk = document["population_risk"][2]["value"]
    assert row == ["2", f"{document['last_loss'][2]:.4g}", f"{risk:.5g}", "exact", f"{risk / optimum - 1:+.2%}"]
    assert next(line for line in lines if line[0] == "1") == ["1", "diverged"]


def test_sampled_risks() -> None:
    """Attention, mask, activation, readout and shots of the run, and one seed of the prompts for each member."""
    options: dict[str, Any] = {
        "kind": "softmax",
        "mask": "causal",
        "hidden": 3,
        "activation": "relu",
        "readout": "plus",
    }
    config = TrainRunConfig(dim=2, layers=2, shots=6, steps=2, seeds=2, batch=2, **options)
    document = train_run.run(config)
    task = LinearRegression(2)
    result = train(task, 0, layers=2, shots=6, steps=2, seeds=2, batch=2, learning_rate=0.02, **options)
    for seed in range(2):
        found = population_risk(result.models.member(seed), task, shots=6, key=seed)
        assert found.stderr > 0
        assert document["population_risk"][seed] == {
            **{"value": found.value, "stderr": found.stderr, "samples": found.samples, "direction": "unbiased"},
            **{"unit": found.unit, "note": found.note},
        }
    assert document["excess"] is None  # the optimum of one layer is none of two
    assert document["one_layer_optimum"] == one_layer_optimum(task, shots=6)[1]
