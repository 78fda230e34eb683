"""Words that cannot be read, or mean nothing to the command: what is said of each."""

from pathlib import Path
from typing import Any

import pytest
from command_line import here, red_baseline

from icl_theory.cli.options import Bounds, Recheck, Verify
from icl_theory.cli.parsing import _at_home, parse
from icl_theory.cli.refusals import as_typed
from icl_theory.records.files import prepare_directory


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "--claims", "lema_1"), ("'lema_1'", "expected", "'lemma_1'")),
        (("verify", "--seed", "-1"), ("-1", "expected")),
        (("verify", "--baseline", "no/such/file"), ("no/such/file", "a JSON file")),
        (("verify", "--baseline", "pyproject.toml"), ("pyproject.toml", "a JSON document")),
        (("explian", "lemma_1"), ("command: got 'explian'", "did you mean 'explain'")),
        (("VERIFY",), ("command: got 'VERIFY'", "did you mean 'verify'")),
        (("verify", "--claims"), ("--claims: got no value", "leave the option out")),
        (("verify", "--claims", "--json"), ("--claims: got no value",)),
        (("verify", "--claims", "lemma_1", "--claims", "lemma_2"), ("--claims: got it twice", "behind one --claims")),
        (("verify", "--claims", "lemma_1", "--claims=lemma_2"), ("--claims: got it twice",)),
        (("verify", "--claims", "lemma_1,lemma_2"), ("'lemma_1,lemma_2'", "separate labels by blanks")),
        (("verify", "--claims", "LEMMA_1"), ("'LEMMA_1'", "did you mean 'lemma_1'")),
        (("verify", "--from", "no/such/file.py"), ("no/such/file.py", "no such file")),
        (("bounds", "--ranks", "6", "--ranks", "3"), ("--ranks: got it twice",)),
        (("bounds", "--noise-std", "1", "--noise_std", "2"), ("it twice",)),
        (("explain", "zzz"), ("'zzz'", "icl-theory explain")),
        (("bounds", "--ranks", "1", "7"), ("ranks: got 7", "from 0 to 6")),
        (("bounds", "--ranks", "-1"), ("ranks: got -1",)),
        (("bounds", "--shots", "80"), ("shots: got 80", "from 1 to 79")),
        (("bounds", "--model", "optimum", "--layers", "2"), ("layers: got 2",)),
        (("bounds", "--layer-indices", "1"), ("--layer-indices: got 1",)),
        (("bounds", "--clip", "nan"), ("clip: got nan",)),
        (("train", "--steps", "0"), ("steps: got 0",)),
        (("train", "--layers", "2", "--stop-excess", "0.1"), ("stop_excess", "2 layers", "known")),
        (("train", "--checkpoint-every", "0"), ("--checkpoint-every: got 0",)),
        (("train", "--resume"), ("resume: got no directory", "--out")),
    ],
)
def test_bad_input(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Bad input is one line and status 2."""
    line = red_baseline(here(*arguments))
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("verify, train, bounds, search, grid, figures, lesson, explain, recheck, cache", "icl-theory --help")),
        (("proof",), ("proof", "verify, train, bounds, search, grid, figures, lesson, explain, recheck, cache")),
        (("--json", "verify"), ("--json", "icl-theory --help")),
        (("verify", "--seed", "x"), ("--seed", "'x'", "icl-theory verify --help")),
        (("verify", "--profile", "quik", "--json"), ("quik", "quick, full", "did you mean 'quick'")),
        (("verify", "lemma_1", "--json"), ("lemma_1", "icl-theory verify --claims lemma_1")),
        (("bounds", "--rank", "1"), ("--rank", "did you mean --ranks", "icl-theory bounds")),
        (("bounds", "--modules", "valu"), ("valu", "did you mean 'value'")),
        (("train", "--readout", "both"), ("both", "minus, plus")),
        (("recheck",), ("FILE", "icl-theory recheck --help")),
    ],
)
def test_unreadable_input(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    """What cannot be read is reported in one line, like everything else that is refused."""
    said = red_baseline(here(*arguments))
    for word in words:
        assert word in said


def test_help_of_the_command() -> None:
    """The help named is that of the command alone."""
    said = red_baseline(here("train", "--stepz", "3"))
    assert "--steps" in said
    assert "bounds" not in said
    assert "--claims" not in red_baseline(here("explain", "one", "two"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "shift_jis"])
def test_unreadable_encodings(encoding: str) -> None:
    """What cannot be read is reported in every encoding."""
    said = red_baseline(here("verify", "--seed", "x", encoding=encoding, COLUMNS="80"))
    assert "--seed: got 'x', expected a whole number" in said


def test_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path below ~ is written out wherever it stands; other words stay as they are."""
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["--out=~/a", "~/b", "~", "--seed=1", "x~/c", "--grep", "~c"]
    assert [_at_home(word) for word in words] == [
        f"--out={tmp_path}/a",
        f"{tmp_path}/b",
        str(tmp_path),
        "--seed=1",
        "x~/c",
        "--grep",
        "~c",
    ]
    assert parse(["verify", "--out=~/a"]).out == f"{tmp_path}/a"
    assert prepare_directory("~/made") == tmp_path / "made"


@pytest.mark.parametrize(
    ("line", "command", "expected"),
    [
        ("layer_indices: got 3, expected less; a hint.", Bounds(), "--layer-indices: got 3, expected less; a hint."),
        ("task.covariance: got a list, expected an array; a hint.", Bounds(), None),
        ("steps: got 0, expected 1; a hint.", Verify(), None),
        ("file: got 'a', expected another; a hint.", Recheck("a"), "FILE: got 'a', expected another; a hint."),
        ("from_file: got 'a', expected another; a hint.", Verify(), "--from: got 'a', expected another; a hint."),
        ("training: got no member that converged, expected one; a hint.", Bounds(), None),
    ],
)
def test_as_typed(line: str, command: Any, expected: str | None) -> None:
    """The name of an option as it is typed; names of other things as they are."""
    assert as_typed(line, command) == (expected or line)
