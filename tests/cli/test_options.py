"""What is typed is what is done: options reach the work, and what the work finds decides the exit status."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import INNER, Bare, here, red_baseline
from ledger import document

from icl_theory.records.files import write_json
from icl_theory.runs import bounds, train


@pytest.mark.parametrize(("sound", "status"), [(True, 0), (False, 1)])
def test_verify_soundness(monkeypatch: pytest.MonkeyPatch, sound: bool, status: int) -> None:
    """Verify is as sound as its report."""

    class Found(Bare):
        records = document()

    Found.sound = sound
    monkeypatch.setattr(INNER["verify"], lambda *_, **__: Found)
    for words in ((), ("--json",)):
        assert here("verify", "--claims", "lemma_2", *words).returncode == status


def test_sweep_soundness(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep is sound if finite and nothing diverged."""
    entry = {"gap": {"value": 0.1}, "population_risk": {"value": 1.0}}
    reported = {
        "": {"sweep": [entry, entry], "diverged": []},
        "diverged for seeds [3]": {"sweep": [entry], "diverged": [3]},
        "a gap or a risk is not finite": {"sweep": [entry, entry | {"gap": {"value": "nan"}}], "diverged": []},
        "a gap or a risk is": {"sweep": [entry | {"population_risk": {"value": "inf"}}, entry], "diverged": []},
    }
    for words, found in reported.items():
        monkeypatch.setattr(bounds, "run", lambda *_, found=found, **__: found)
        done = here("bounds", "--json")
        assert done.returncode == (1 if words else 0)
        assert json.loads(done.stdout) == found
        assert words in done.stderr
        assert ("not sound" in done.stderr) == bool(words)


@pytest.mark.parametrize("diverged", [[], [0, 2]])
def test_training_soundness(monkeypatch: pytest.MonkeyPatch, diverged: list[int]) -> None:
    """A training is sound if nothing diverged."""
    monkeypatch.setattr(train, "run", lambda *_, **__: {"diverged": diverged})
    done = here("train", "--json")
    assert done.returncode == (1 if diverged else 0)
    assert (f"training diverged for seeds {diverged}" in done.stderr) == bool(diverged)
    assert json.loads(done.stdout) == {"diverged": diverged}


def kept(monkeypatch: pytest.MonkeyPatch, target: str, result: Any) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The arguments of every call of `target`, which returns `result`."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def work(*given: Any, **named: Any) -> Any:
        calls.append((given, named))
        return result

    monkeypatch.setattr(target, work)
    return calls


def test_verify_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`verify` gets what was typed."""
    calls = kept(monkeypatch, INNER["verify"], Bare)
    written = kept(monkeypatch, "icl_theory.runs.verify.write", None)
    out, earlier = str(tmp_path / "out"), write_json(tmp_path / "earlier.json", document())
    words = ("--claims", "lemma_2", "lemma_1", "--profile", "full", "--seed", "7", "--out", out)
    assert here("verify", *words, "--baseline", str(earlier), "--json").returncode == 0
    (tmp_path / "out" / "of an earlier run").touch()
    assert "not empty" in red_baseline(here("verify", *words, "--json"))
    assert here("verify", *words, "--overwrite", "--json").returncode == 0
    assert here("verify", "--json").returncode == 0
    reported = [(given, {name: value for name, value in named.items() if name != "progress"}) for given, named in calls]
    assert all(named.pop("settings").usual and named.pop("options") == {} for _, named in reported)
    asked = ["lemma_2", "lemma_1"], "full", 7
    assert reported[0] == (asked, {"sweep": False, "cache": True, "baseline": document()})
    assert reported[1] == (asked, {"sweep": False, "cache": True, "baseline": None})
    assert reported[2] == ((None, "quick", 0), {"sweep": False, "cache": True, "baseline": None})
    assert [given for given, _ in written] == [(Bare, Path(out))] * 2
    assert here("verify", "--claims", "lemma_2", "--sweep", "--no-cache", "--json").returncode == 0
    assert here("verify", "--json", "--out", str(tmp_path / "all")).returncode == 0
    found = [(given[0], named["sweep"], named["cache"]) for given, named in calls[3:]]
    assert found == [(["lemma_2"], True, False), (None, True, True)]


@pytest.mark.parametrize("name", ["train", "bounds"])
def test_run_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    """Settings, directory, and whether to overwrite it or to go on in it."""
    module = {"train": "icl_theory.runs.directory", "bounds": "icl_theory.runs.bounds"}[name]
    found = {"sweep": [], "diverged": []}
    prepared = kept(monkeypatch, f"{module}.prepare", tmp_path)
    runs = kept(monkeypatch, INNER[name], found)
    written = kept(monkeypatch, "icl_theory.runs.bounds.write_results", None)
    words = (name, "--dim", "3", "--seed", "11", "--shots", "4", "--out", str(tmp_path), "--json")
    for flags in ((), ("--overwrite",), ("--resume",)):
        done = here(*words, *flags)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == found
    assert [named for _, named in prepared] == [
        {"overwrite": False, "resume": False},
        {"overwrite": True, "resume": False},
        {"overwrite": False, "resume": True},
    ]
    assert {given[1] for given, _ in prepared} == {str(tmp_path)}
    # A training goes on if there is a checkpoint.
    assert [named["resume"] for _, named in runs] == [False, False, name == "bounds"]
    for given, named in runs:
        config = given[0]
        assert (config.dim, config.seed, config.shots) == (3, 11, 4)
        assert named.get("out", *given[1:2]) == tmp_path
    assert [given for given, _ in written] == ([(found, tmp_path)] * 3 if name == "bounds" else [])
