"""--config: the options of an earlier run, as it wrote them, with what is typed beside them counting more."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import here, red_baseline

from icl_theory.cli.options import Bounds, Train, Verify
from icl_theory.cli.parsing import parse

SMALL = ("--samples", "16", "--tasks", "1", "--dim", "2", "--seeds", "2")


def test_sweep_again(tmp_path: Path) -> None:
    """The same numbers, a full covariance included; another seed gives others."""
    np.save(tmp_path / "covariance.npy", np.array([[2.0, 0.3], [0.3, 1.0]]))
    out = tmp_path / "run"
    words = ("--model", "random", "--covariance", str(tmp_path / "covariance.npy"), "--modules", "key", "value")
    assert here("bounds", *words, *SMALL, "--out", str(out)).returncode == 0
    (tmp_path / "covariance.npy").unlink()
    before = json.loads((out / "records.json").read_bytes())
    done = here("bounds", "--config", str(out / "records.json"), "--json")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    assert again["sweep"] == before["sweep"]
    assert again["configuration"] == before["configuration"]
    other = json.loads(here("bounds", f"--config={out / 'records.json'}", "--seed", "1", "--json").stdout)
    assert other["configuration"] == before["configuration"] | {"seed": 1}
    assert other["sweep"] != before["sweep"]


def test_training_again(tmp_path: Path) -> None:
    """config.json of a training, with an option of None among them."""
    words = ("--dim", "2", "--shots", "4", "--steps", "20", "--seeds", "2", "--batch", "4")
    assert here("train", *words, "--out", str(tmp_path / "run")).returncode == 0
    command: Any = parse(["train", "--config", str(tmp_path / "run" / "config.json"), "--seeds", "3"])
    assert isinstance(command, Train)
    assert (command.dim, command.shots, command.steps, command.seeds, command.out) == (2, 4, 20, 3, None)


def test_verification_again(tmp_path: Path) -> None:
    """records.json of a run over named claims."""
    assert here("verify", "--claims", "lemma_3", "--seed", "4", "--out", str(tmp_path)).returncode == 0
    command: Any = parse(["verify", "--config", str(tmp_path / "records.json"), "--json"])
    assert isinstance(command, Verify)
    assert (command.claims, command.seed, command.profile, command.json) == (("lemma_3",), 4, "quick", True)


def test_plain_object(tmp_path: Path) -> None:
    """A file written by hand will do."""
    (tmp_path / "own.json").write_text(json.dumps({"model": "optimum", "ranks": [1, 2], "noise_std": 0.25}))
    command: Any = parse(["bounds", "--config", str(tmp_path / "own.json")])
    assert isinstance(command, Bounds)
    assert (command.model, command.ranks, command.noise_std, command.samples) == ("optimum", (1, 2), 0.25, 512)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ("a JSON document",)),
        ("[1]", ("config: got", "of a run of bounds")),
        ("{}", ("config: got",)),
        ('{"profile": "quick"}', ("config: got", "of a run of bounds")),
        ('{"configuration": {"seed": 0, "batch": 3}}', ("'batch'", "options of bounds", "another command than bounds")),
        ('{"seed": 0, "out": "x"}', ("'out'",)),
        ('{"seed": "zero"}', ("seed = 'zero'", "a int")),
        ('{"seed": true}', ("seed = True", "a int")),
        ('{"ranks": 3}', ("ranks = 3", "a tuple")),
        ('{"noise_std": "x"}', ("noise_std = 'x'", "a float")),
        ('{"ranks": [99]}', ("ranks: got 99",)),
    ],
)
def test_no_configuration(tmp_path: Path, text: str, words: tuple[str, ...]) -> None:
    """Anything else is one line."""
    (tmp_path / "x.json").write_text(text)
    line = red_baseline(here("bounds", "--config", str(tmp_path / "x.json")))
    for word in words:
        assert word in line


def test_missing_file() -> None:
    assert "no/such.json" in red_baseline(here("train", "--config", "no/such.json"))
    assert "--config: got no value" in red_baseline(here("train", "--config"))
    assert "--config: got it twice" in red_baseline(here("train", "--config", "a", "--config", "b"))
