"""`verify` in settings of the user's, from the command line: what is typed, said, written and read back."""

import json
from pathlib import Path

import numpy as np
import pytest
from command_line import here, red_baseline

from icl_theory import load_model, random_weights, save_model
from icl_theory.models.fingerprint import fingerprint_of
from icl_theory.runs.verify_config import SettingsConfig, settings_of, written_settings

TWO = ("--claims", "lemma_1", "span_of_change")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Two layers at token dimension 4."""
    save_model(tmp_path / "theirs.npz", random_weights(5, layers=2, token_dim=4, scale=0.6))
    return tmp_path / "theirs.npz"


def test_sizes(tmp_path: Path) -> None:
    """A dimension, a depth and a number of demonstrations; the record of the run gives them back."""
    out = tmp_path / "out"
    done = here("verify", *TWO, "--dim", "3", "--layers", "1", "--shots", "8", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "LinearRegression, d_x = 3, L = 1, N = 8" in done.stdout
    assert "it needs models with" in done.stdout
    assert "did not bite in these" not in done.stderr
    document = json.loads((out / "records.json").read_text())
    lemma, span = document["claims"]
    assert (lemma["verdict"], span["verdict"], span["evidence"][0]["case"]) == ("HOLDS", "OUTSIDE", "these settings")
    assert document["settings"]["layers"] == 1
    assert "L = 1, N = 8" in (out / "report.html").read_text()
    again = here("verify", "--config", str(out / "records.json"), "--json")
    assert json.loads(again.stdout)["configuration"] == document["configuration"]
    assert json.loads(again.stdout)["settings"] == document["settings"]


def test_a_model(weights: Path) -> None:
    """Claims on the weights of a file: what was read is said, and every case is of these weights."""
    done = here(
        "verify", *TWO, "trained_descends", "--model", str(weights), "--noise-std", "0.2", "--shots", "9", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert "read Model(layers=2, token_dim=4)" in done.stderr
    document = json.loads(done.stdout)
    assert [claim["verdict"] for claim in document["claims"]] == ["HOLDS", "HOLDS", "OUTSIDE"]
    assert document["configuration"]["file"] == fingerprint_of(load_model(weights))
    own = document["configuration"]
    assert document["settings"]["shots"] == 9
    assert (own["dim"], own["layers"], own["noise_std"]) == (3, 2, 0.2)
    value = load_model(weights).value
    assert np.array_equal(document["settings"]["models"][0]["value"], value)


def test_reasons_by_group() -> None:
    """Many claims: those outside stand under their reason, once."""
    labels = ("remark_2", "span_of_change", "theorem_1", "lemma_1", "lemma_4", "lemma_5", "lemma_6", "update_rank")
    more = ("gram_spectrum", "noise_shots", "mask_matrix", "softmax_rank", "footnote_6")
    done = here("verify", "--claims", *labels, *more, "--layers", "1", "--task", "relu")
    assert done.returncode == 0, done.stderr
    assert "OUTSIDE, it needs models with several layers:\n  remark_2, span_of_change" in done.stdout
    assert "OUTSIDE, it is about linear regression, which these settings are not:\n  lemma_4" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--dim", "0"), "dim: got 0"),
        (("--layers", "0"), "layers: got 0"),
        (("--shots", "1"), "shots: got 1"),
        (("--scale", "2.0"), "scale: got 2.0 without a file"),
        (("--task", "classification", "--task-covariance", "1"), "--task-covariance: got"),
        (("--model", "nowhere.npz"), "model: got 'nowhere.npz', expected the path of a file with weights"),
        (("--dim", "3", "--sweep"), "sweep: got settings of yours"),
        (("--model", "THEIRS", "--dim", "4"), "dim: got 4, and a file with dim 3"),
        (("--model", "THEIRS", "--scale", "2.0"), "a layout for"),
    ],
)
def test_refused(weights: Path, words: tuple[str, ...], said: str) -> None:
    """One line, before anything is trained."""
    line = red_baseline(here("verify", "--claims", "lemma_1", *(w.replace("THEIRS", str(weights)) for w in words)))
    assert said in line


def test_settings_of() -> None:
    """The defaults are the usual settings, and nothing of them is written down."""
    settings, notes = settings_of(SettingsConfig())
    assert (settings.usual, notes, written_settings(SettingsConfig())) == (True, (), {})
    assert written_settings(SettingsConfig(shots=30, covariance=("1", "2", "1", "1", "1")))["shots"] == 30
