"""Claims in a Python file: found, named, held to the rules, checked, explained and rechecked."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import fresh, here, red_baseline
from helpers import error_message

from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.outside import claims_from_file
from icl_theory.tasks.linear_regression import LinearRegression

FILE = """
from dataclasses import dataclass, replace
import numpy as np
from icl_theory import LinearRegression
from icl_theory.claims import Claim, Control

@dataclass(frozen=True, eq=False)
class Shifted(LinearRegression):
    def sample_inputs(self, rng, shape):
        return 0.5 + super().sample_inputs(rng, shape)

def mean(case):
    return abs(float(case.demonstrations[:, 0].mean()))

CLAIM = Claim(
    source="a test", statement="$|mean of x_1| < 9$", origin="new", relation="at most", measure=mean,
    predict=lambda case: 9.0, cases=lambda factory: factory.population(1, task=Shifted(2), shots=8, steps=10, seeds=3),
    controls=(Control("zero", predict=lambda case: 0.0), Control("less", predict=lambda case: -1.0)),
)
"""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "a_file_of_claims.py"
    path.write_text(FILE, encoding="utf-8")
    before = list(sys.path)
    yield path
    sys.modules.pop(path.stem, None)
    sys.path[:] = before


def test_file(file: Path) -> None:
    """The file's name is the label of its only claim; a second reading gives the same objects."""
    [found] = claims_from_file(file)
    assert (found.claim.label, found.package) == ("a_file_of_claims", "a_file_of_claims.py")
    assert claims_from_file(file)[0].claim.measure is found.claim.measure


@pytest.mark.parametrize(
    ("more", "labels"),
    [
        ("CLAIMS = [replace(CLAIM, label='one'), replace(CLAIM, label='two')]", ["one", "two"]),
        ("ONE = replace(CLAIM, label='one')\nTWO = replace(CLAIM, label='two')\ndel CLAIM", ["one", "two"]),
        ("def CLAIMS():\n    return (replace(CLAIM, label='made'),)", ["made"]),
    ],
)
def test_forms(file: Path, more: str, labels: list[str]) -> None:
    """CLAIMS, or what stands at the top level."""
    file.write_text(FILE + more, encoding="utf-8")
    if "def" in more:
        assert "a function" in error_message(claims_from_file, file)
        return
    assert [found.claim.label for found in claims_from_file(file)] == labels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nothing_of_that_name", ("ModuleNotFoundError", "a_file_of_claims.py:1")),
        ("x = 1 / 0", ("ZeroDivisionError (division by zero) at a_file_of_claims.py:1",)),
        ("x =", ("SyntaxError",)),
        ("", ("no CLAIMS, no CLAIM",)),
        ("CLAIM = 3", ("a int", "a Claim")),
        (FILE + "CLAIMS = [replace(CLAIM, label='')] * 2", ("a claim without a label",)),
        (FILE + "CLAIM = replace(CLAIM, controls=())", ("with 0 controls that must fail",)),
        (FILE + "CLAIM = replace(CLAIM, label='lemma_1')", ("a second claim 'lemma_1'",)),
        (FILE + "CLAIMS = [replace(CLAIM, label='one')] * 2", ("two claims 'one'",)),
    ],
)
def test_broken_files(file: Path, text: str, words: tuple[str, ...]) -> None:
    """One line each, with the name of the file; and nothing of it stays behind."""
    file.write_text(text, encoding="utf-8")
    message = error_message(claims_from_file, file)
    for word in ("claims of a_file_of_claims.py: got", "docs/own-theorem.md", *words):
        assert word in message


def test_taken_names(tmp_path: Path) -> None:
    """A file with the name of a module that is loaded would hide it, or be hidden by it."""
    path = tmp_path / "json.py"
    path.write_text(FILE, encoding="utf-8")
    assert "the name 'json', which another module has" in error_message(claims_from_file, path)
    assert "no such file" in error_message(claims_from_file, tmp_path / "none.py")
    (tmp_path / "notes_of_claims.txt").write_text(FILE, encoding="utf-8")
    assert "ends in .py" in error_message(claims_from_file, tmp_path / "notes_of_claims.txt")


def test_command(file: Path) -> None:
    """Checked alone, with others, explained; a label of it is known behind --claims."""
    done = here("verify", "--from", str(file), "--json", "--no-cache")
    assert done.returncode == 0, done.stderr
    [claim] = json.loads(done.stdout)["claims"]
    assert (claim["label"], claim["package"], claim["verdict"]) == (file.stem, file.name, "HOLDS")
    done = here("verify", "--from", str(file), "--claims", "lemma_3", "--json")
    assert [claim["label"] for claim in json.loads(done.stdout)["claims"]] == ["lemma_3"]
    done = here("verify", "--from", str(file), "--claims", "lemma_3", file.stem, "--json", "--no-cache")
    assert [claim["label"] for claim in json.loads(done.stdout)["claims"]] == ["lemma_3", file.stem]
    assert "|mean of x_1| < 9" in here("explain", file.stem, "--from", str(file)).stdout
    assert here("explain", "--from", str(file), "--grep", "MEAN x_1").stdout.splitlines()[2] == file.name
    assert f"did you mean '{file.stem}'" in red_baseline(
        here("verify", "--from", str(file), "--claims", "a_file_of_claim")
    )
    other = file.with_name("another_file_of_claims.py")
    other.write_text(FILE + f"CLAIM = replace(CLAIM, label={file.stem!r})", encoding="utf-8")
    assert "rename one of the claims" in red_baseline(here("verify", "--from", str(file), str(other)))
    sys.modules.pop(other.stem, None)


def test_certificate(file: Path, tmp_path: Path) -> None:
    """A counterexample on a task of the file is verified by a process that has only the two files."""
    file.write_text(FILE + "CLAIM = replace(CLAIM, predict=lambda case: 0.001)", encoding="utf-8")
    done = here("verify", "--from", str(file), "--out", str(tmp_path / "run"), "--no-cache")
    assert done.returncode == 0, done.stderr
    certificate = tmp_path / "run" / "counterexamples" / f"{file.stem}.json"
    done = fresh(tmp_path, "recheck", str(certificate), "--from", str(file))
    assert (done.returncode, "confirmed, the statement fails here" in done.stdout) == (0, True), done.stderr
    done = fresh(tmp_path, "recheck", str(certificate))
    assert done.returncode == 2
    assert "the label of a claim" in done.stderr


# Populations.


def test_population() -> None:
    """Trained on the task that is given, once for all who ask for the same, and with data of that task."""
    factory, task = CaseFactory("quick", seed=3), LinearRegression(2, noise_std=0.1)
    options = {"shots": 6, "steps": 12, "seeds": 3}
    cases = factory.population(2, task=task, **options)
    again = factory.population(2, task=LinearRegression(2, noise_std=0.1), **options)
    assert all(one is other for one, other in zip(cases, again, strict=True))
    assert [case.model.layers for case in cases] == [2, 2, 2]
    assert all(case.task is task for case in cases)
    assert {case.demonstrations.shape for case in cases} == {(6, 3)}
    assert len({case.seed for case in cases}) == 3
    assert len({case.demonstrations.tobytes() for case in cases}) == 3
    assert len({case.model.value.tobytes() for case in cases}) == 3
    other = factory.population(2, task=task, **{**options, "shots": 7})
    assert not {case.seed for case in other} & {case.seed for case in cases}
    assert cases[0].name == "trained, 2 layers on LinearRegression, seed 0"
    assert factory.population(1, steps=5, seeds=2)[0].task is factory.task
    assert CaseFactory("quick", seed=3).population(2, task=task, **options)[1].seed == cases[1].seed
    factory.close()


def test_diverged_population() -> None:
    """A member that diverged is not left out silently."""
    factory = CaseFactory("quick", seed=0)
    message = error_message(factory.population, 3, steps=20, seeds=2, learning_rate=1e6, clip_norm=1e9)
    assert "training diverged for seeds" in message
    factory.close()
