"""A hundred and fifty bad inputs, on the command line and in Python: one clear line each, and nothing is begun."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import here, red_baseline
from helpers import error_message

import icl_theory as icl
from icl_theory.claims import CaseFactory, CaseSettings
from icl_theory.figures import bound_column, save_figure

PYTHON = re.compile(r"\bNone\b|\bTrue\b|\bFalse\b|\w+=\w|[A-Z]\w+\(")
"""Words that mean nothing to somebody who typed a command."""

TYPED = """
nonsense
verifiy
--hepl
verify --seed x
verify --seed -1
verify --seed 2147483648
verify --seed 1.5
verify --seed
verify --seed 1 --seed 2
verify --profile quik
verify --profile
verify --claims lemma_l
verify --claims lemma_1,lemma_2
verify --claims
verify --claims LEMMA_1
verify --claimz lemma_1
verify lemma_1
verify --claims lemma_1 --json yes
verify --from nowhere.py
verify --from FOLDER
verify --baseline nowhere.json
verify --baseline FOLDER
verify --baseline TEXT
verify --config nowhere.json
verify --config TEXT
verify --claims lemma_1 --out TEXT
verify --claims lemma_1 --out FULL
verify --claims lemma_1 --dim 0
verify --claims lemma_1 --dim 2.5
verify --claims lemma_1 --layers 0
verify --claims lemma_1 --shots 1
verify --claims lemma_1 --noise-std -1
verify --claims lemma_1 --noise-std nan
verify --claims lemma_1 --task lineer
verify --claims lemma_1 --nonzero 1
verify --claims lemma_1 --covariance 1 2
verify --claims lemma_1 --covariance 1 1 1 1 -1
verify --claims lemma_1 --covariance nowhere.npy
verify --claims lemma_1 --covariance TEXT
verify --claims lemma_1 --inputs student-t
verify --claims lemma_1 --inputs student-t --dof 2
verify --claims lemma_1 --dof 5
verify --claims lemma_1 --model nowhere.npz
verify --claims lemma_1 --model TEXT
verify --claims lemma_1 --scale 2
verify --claims lemma_1 --transposed
verify --claims lemma_1 --dim 3 --sweep
explain lemma_l
explain lemma_1 lemma_2
explain lemma_1 --grep noise
explain --grep
explain --from nowhere.py
recheck
recheck nowhere.json
recheck TEXT
recheck FOLDER
recheck --json
cache --clear yes
cache --clean
train --dim 0
train --dim x
train --layers 0
train --heads 0
train --heads 1.5
train --seeds 0
train --steps 0
train --shots 0
train --hidden -1
train --learning-rate 0
train --learning-rate -1
train --learning-rate inf
train --kind cubic
train --mask diagonal
train --normalization max
train --activation gelu
train --readout times
train --task sparse --nonzero 0
train --task sparse --nonzero 9
train --task relu --teacher-hidden 0
train --task classification --flip-probability 1.5
train --task classification --noise-std 0.1
train --task one-hot --outputs 1
train --resume
train --resume --overwrite --out NEW
train --out FULL
train --out TEXT
train --checkpoint-every 0
train --step 5
train extra
bounds --model trained --ranks 9
bounds --ranks 1 --rates 0.5
bounds --rates 1
bounds --rates -0.1
bounds --modules valeu
bounds --modules mlp
bounds --modules
bounds --layer-indices 3
bounds --layer-indices -1
bounds --shots 80
bounds --shots 0
bounds --demonstrations 1
bounds --tasks 0
bounds --samples 4
bounds --clip 0
bounds --clip -1
bounds --floor -1
bounds --loss hinge
bounds --task vector --loss zero_one
bounds --model optimum --layers 2
bounds --model random --heads 2
bounds --model gradient-descent --seeds 3
bounds --model gradient-descent --task vector
bounds --model random --scale 2
bounds --model nowhere.npz
bounds --model FOLDER
bounds --resume
bounds --resume --overwrite --out NEW
bounds --seed -1
bounds --seed 1e3
bounds --rank 3
bounds --out FULL
search --module valeu
search --module mlp
search --module
search --top 0
search --top 4
search --prompts 1
search --searches 0
search --rates 1
search --rates 0.9
search --loss hinge
search --task vector --loss zero_one
search --model optimum --layers 2
search --model nowhere.npz
search --model TEXT
search --resume
search --shots 0
search --modules value
search --out FULL
grid nothing
grid --grid edit
grid --profile huge
grid --shard 1/2
grid --shard 3/2 --out NEW
grid --merge nowhere --out NEW
grid --merge
grid --record TEXT
grid --record nowhere.json.gz
grid --resume
grid --out FULL
figures nothing
figures findings
figures --profile huge --out NEW
figures --resume
figures --out FULL
bounds --together
bounds --components middle
""".strip().splitlines()

MODEL, TASK = icl.random_weights(0, layers=1, token_dim=3), icl.LinearRegression(2, noise_std=0.5)
SIZES: dict[str, Any] = {"demonstrations": 20, "shots": 5, "clip": 4.0, "samples": 16}
CALLED: dict[str, Callable[[], Any]] = {
    "a task without dimensions": lambda: icl.LinearRegression(0),
    "a matrix of another size": lambda: icl.LinearRegression(2, np.eye(3)),
    "an indefinite covariance": lambda: icl.LinearRegression(2, np.diag([1.0, -1.0])),
    "an asymmetric covariance": lambda: icl.LinearRegression(2, np.array([[1.0, 0.5], [0.0, 1.0]])),
    "negative noise": lambda: icl.LinearRegression(2, noise_std=-1.0),
    "noise that is no number": lambda: icl.LinearRegression(2, noise_std="much"),  # pyright: ignore
    "an input law in a word": lambda: icl.LinearRegression(2, inputs="gaussian"),  # pyright: ignore
    "two degrees of freedom": lambda: icl.StudentT(2.0),
    "no prompts": lambda: TASK.sample(0, 0, 5),
    "no shots": lambda: TASK.sample(0, 5, 0),
    "matrices of two sizes": lambda: icl.Model.create(np.eye(3), np.eye(3), np.eye(2)),
    "a model with a NaN": lambda: icl.Model.create(np.full((3, 3), np.nan), np.eye(3), np.eye(3)),
    "half an MLP": lambda: icl.Model.create(np.eye(3), np.eye(3), np.eye(3), mlp_in=np.ones((1, 2, 3))),
    "an unknown attention": lambda: icl.Model.create(np.eye(3), np.eye(3), np.eye(3), kind="cubic"),  # pyright: ignore
    "no layers": lambda: icl.random_weights(0, layers=0, token_dim=3),
    "a file that is not there": lambda: icl.load_model("nowhere.npz"),
    "a layout of nothing": lambda: icl.load_model("nowhere.npz", icl.Layout(names=("value",))),
    "another token dimension": lambda: icl.population_risk(MODEL, icl.LinearRegression(5), shots=5),
    "a risk without shots": lambda: icl.population_risk(MODEL, TASK, shots=0),
    "no model": lambda: icl.population_risk("weights", TASK, shots=5),  # pyright: ignore
    "an accuracy of a regression": lambda: icl.accuracy(MODEL, TASK, shots=5),
    "tokens of another size": lambda: icl.implicit_trajectory(MODEL, np.ones((4, 5))),
    "tokens with an infinity": lambda: icl.implicit_trajectory(MODEL, np.full((4, 3), np.inf)),
    "as many shots as tokens": lambda: icl.gradient_noise(MODEL, np.ones((4, 3)), shots=5),
    "a layer too many": lambda: icl.truncate_weights(MODEL, layer=1, module="value", rank=1),
    "a rank too many": lambda: icl.truncate_weights(MODEL, layer=0, module="value", rank=4),
    "an unknown module": lambda: icl.truncate_weights(MODEL, layer=0, module="valeu", rank=1),  # pyright: ignore
    "a rank and a half": lambda: icl.truncate(np.eye(3), 1.5),  # pyright: ignore
    "a matrix that is none": lambda: icl.truncate(np.ones(3), 1),
    "a ladder that shows all": lambda: icl.bound_ladder(MODEL, TASK, **{**SIZES, "shots": 20}),
    "a ladder without samples": lambda: icl.bound_ladder(MODEL, TASK, **{**SIZES, "samples": 2}),
    "an unknown loss": lambda: icl.bound_ladder(MODEL, TASK, **SIZES, loss="hinge"),  # pyright: ignore
    "a floor below 0": lambda: icl.bound_ladder(MODEL, TASK, **SIZES, floor=-1.0),
    "a sweep without ranks": lambda: icl.rank_sweep(MODEL, TASK, **SIZES, ranks=[5]),
    "ranks and rates": lambda: icl.rank_sweep(MODEL, TASK, **SIZES, ranks=[1], rates=[0.5]),
    "tasks and a task vector": lambda: icl.rank_sweep(MODEL, TASK, **SIZES, tasks=2, task_vector=np.ones(2)),
    "a sweep over nothing": lambda: icl.sweep(MODEL, TASK, over="shots", values=(), demonstrations=20),
    "a supersample of softmax ranks": lambda: icl.supersample_bounds(
        MODEL, TASK, demonstrations=0, supersamples=4, key=0
    ),
    "a training without seeds": lambda: icl.train(TASK, 0, layers=1, shots=5, seeds=0),
    "a training of another field": lambda: icl.train(TASK, 0, layers=1, shots=5, kind="cubic"),  # pyright: ignore
    "a search without prompts": lambda: icl.search_clipping_rate(MODEL, TASK, shots=5, module="value", prompts=0),
    "an unknown claim": lambda: icl.verify("lemma_l"),
    "no claims": lambda: icl.verify([]),
    "an unknown profile": lambda: icl.verify("lemma_1", profile="fast"),  # pyright: ignore
    "a seed below 0": lambda: icl.verify("lemma_1", seed=-1),
    "three processes": lambda: icl.verify("lemma_1", processes=3),
    "a factory of another profile": lambda: CaseFactory("fast"),  # pyright: ignore
    "settings of no layers": lambda: CaseSettings(layers=0),
    "a column of no records": lambda: bound_column([]),
    "a correlation of two": lambda: icl.mutual_information(np.ones((3, 1)), np.ones((2, 1)), np.ones((3, 1, 1))),
    "a condition number of a vector": lambda: icl.condition_number(np.ones(3)),
    "one step of no size": lambda: icl.gradient_descent(np.ones((3, 2)), np.ones(3), steps=-1, step_size=0.1),
    "a figure of no format": lambda: save_figure(bound_column(_entries()), Path("figure.nonsense")),
}


def _entries() -> Any:
    return icl.rank_sweep(MODEL, TASK, **SIZES, tasks=1, ranks=[3])


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A folder, a directory that is in use, a place for a new one, and a file that is no file of ours."""
    root = tmp_path_factory.mktemp("bad")
    for name in ("folder", "full"):
        (root / name).mkdir()
    (root / "full" / "thesis.tex").write_text("years of work")
    (root / "text").write_text("no record")
    return {name: str(root / name.lower()) for name in ("FOLDER", "FULL", "NEW", "TEXT")}


@pytest.mark.parametrize("line", TYPED)
def test_typed(line: str, places: dict[str, str]) -> None:
    """Status 2 and one line: what was got, what was expected, what to do, in the words of the command line."""
    said = red_baseline(here(*(places.get(word, word) for word in line.split())))
    body = said.removeprefix("icl-theory: error: ").rstrip("\n")
    assert re.fullmatch(r".+?: got .+, expected .+; .+\.", body), body
    for path in places.values():
        body = body.replace(path, "")
    assert not PYTHON.search(body.rpartition("; ")[2]), body
    assert (Path(places["FULL"]) / "thesis.tex").read_text() == "years of work"
    assert not Path(places["NEW"]).exists()


@pytest.mark.parametrize("name", CALLED)
def test_called(name: str) -> None:
    """ValueError with the same kind of sentence."""
    assert error_message(CALLED[name])


def test_how_many() -> None:
    """The table is as long as it says, and nothing stands in it twice."""
    assert len(set(TYPED)) == len(TYPED)
    assert len(TYPED) + len(CALLED) >= 150
