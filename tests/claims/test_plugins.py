"""Claims of other packages: installed for real, seen in a run, and never lost when they are broken."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import fresh
from distributions import write_distribution
from helpers import error_message

from icl_theory import verify
from icl_theory.claims import plugins
from icl_theory.claims.order import LABELS
from icl_theory.claims.registry import all_labels, load, load_all, package_of
from icl_theory.records.claims_csv import table
from icl_theory.report.page.document import page
from icl_theory.report.terminal import verify as verify_output

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "experiments" / "outside_claims"


def install(source: Path, target: Path) -> None:
    """What pip leaves behind: the modules, and a dist-info directory with metadata and entry points. Offline."""
    project = tomllib.loads((source / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = {"outside_claims.py": project["entry-points"][plugins.GROUP]}
    for module in points:
        shutil.copy(source / module, target / module)
    write_distribution(target, project["name"], project["version"], points["outside_claims.py"])


def command(target: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return fresh(target, *arguments, PYTHONPATH=os.pathsep.join([str(target), str(ROOT)]))


def test_installed_package(tmp_path: Path) -> None:
    """An installed package is seen in a run."""
    install(EXAMPLE, tmp_path)
    done = command(tmp_path, "verify", "--claims", "eckart_young", "theorem_2_scalar", "--json")
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)
    first, second = records["claims"]
    assert (first["label"], first["package"]) == ("theorem_2_scalar", None)
    assert (second["label"], second["package"]) == ("eckart_young", "outside-claims 1.0")
    assert second["verdict"] == "HOLDS"
    assert [control["verdict"] for control in second["controls"]] == ["FAILS", "FAILS"]
    for text in (page(records), table(records)):
        assert text.index("theorem_2_scalar") < text.index("eckart_young") < text.rindex("outside-claims 1.0")
    done = command(tmp_path, "explain")
    assert done.stdout.splitlines()[-2] == "outside-claims 1.0"
    assert done.stdout.splitlines()[-1].startswith("  eckart_young ")
    assert "best rank-r approximation" in command(tmp_path, "explain", "eckart_young").stdout


def test_nothing_loaded(tmp_path: Path) -> None:
    """Help and our own claims load nothing of others."""
    (tmp_path / "noisy.py").write_text("raise SystemExit('loaded')", encoding="utf-8")
    write_distribution(tmp_path, "noisy", "1.0", {"x": "noisy"})
    for arguments in (("--help",), ("verify", "--help"), ("explain", "lemma_1")):
        done = command(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        assert "loaded" not in done.stdout + done.stderr


def test_broken_package(tmp_path: Path) -> None:
    """A broken package is named in one line."""
    (tmp_path / "broken.py").write_text("import nothing_of_that_name", encoding="utf-8")
    write_distribution(tmp_path, "broken-claims", "2.5", {"x": "broken:CLAIMS"})
    for arguments in (("verify",), ("explain",), ("verify", "--claims", "of_theirs")):
        done = command(tmp_path, *arguments, "--json")
        assert done.returncode == 2
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        for word in ("broken-claims 2.5", "ModuleNotFoundError", "nothing_of_that_name", "uninstall", "--claims"):
            assert word in done.stderr


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Installs a module `theirs` with that source and entry point into this process, until the test ends."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def put(source: str, point: str = "theirs:CLAIMS") -> None:
        head = "from dataclasses import replace\nfrom icl_theory.claims.registry import load\n"
        head += "own = replace(load('footnote_6'), label='theirs')\n"
        (tmp_path / "theirs.py").write_text(head + source, encoding="utf-8")
        write_distribution(tmp_path, "theirs", "0.1", {"theirs": point})

    plugins.claims.cache_clear()
    yield put
    plugins.claims.cache_clear()
    sys.modules.pop("theirs", None)


@pytest.mark.parametrize(
    ("source", "point"),
    [
        ("CLAIMS = [own]", "theirs:CLAIMS"),
        ("CLAIM = own", "theirs:CLAIM"),
        ("def claims():\n    return (own,)", "theirs:claims"),
        ("def claim():\n    return own", "theirs:claim"),
        ("CLAIMS = [own]", "theirs"),
        ("CLAIM = own", "theirs"),
    ],
)
def test_entry_point_forms(place: Callable[..., None], source: str, point: str) -> None:
    """Every form of an entry point."""
    place(source, point)
    assert all_labels() == (*LABELS, "theirs")
    assert load("theirs").label == "theirs"
    assert package_of("theirs") == "theirs 0.1"
    assert package_of("lemma_1") is None
    assert [claim.label for claim in load_all(["theirs", "lemma_1"])] == ["lemma_1", "theirs"]
    assert load_all()[-1].label == "theirs"
    assert "did you mean 'theirs'" in error_message(load, "their")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("CLAIMS = [replace(own, label='lemma_1')]", ("'lemma_1'", "icl_theory does not use")),
        ("CLAIMS = [own, own]", ("second claim 'theirs'", "theirs 0.1 does not use")),
        ("CLAIMS = [replace(own, label='../../etc')]", ("InvalidInputError", "'../../etc'", "lower-case letters")),
        ("CLAIMS = [replace(own, label='<b>')]", ("'<b>'",)),
        ("CLAIMS = [replace(own, controls=())]", ("with 0 controls that must fail", "at least two negative controls")),
        ("CLAIMS = [replace(own, controls=own.controls[:1])]", ("with 1 controls", "at least two")),
        (
            "from icl_theory.claims.engine.claim import Control\n"
            "holds = [Control(str(i), predict=own.predict, expected='HOLDS') for i in range(5)]\n"
            "CLAIMS = [replace(own, controls=(*own.controls[:1], *holds))]",
            ("with 1 controls that must fail", "at least two"),
        ),
        (
            "CLAIMS = [replace(own, relation='about')]",
            ("relation of claim 'theirs': got 'about'", "'equal', 'at most'"),
        ),
        ("CLAIMS = [replace(own, origin='maybe')]", ("origin of claim 'theirs': got 'maybe'",)),
        ("CLAIMS = [replace(own, statement=None)]", ("statement of claim 'theirs': got None",)),
        ("CLAIMS = ['lemma']", ("a str", "a Claim")),
        ("CLAIMS = 7", ("a int", "a Claim")),
        ("def CLAIMS():\n    raise RuntimeError('two\\nlines')", ("RuntimeError (two lines)", "theirs:CLAIMS")),
        ("", ("AttributeError",)),
    ],
)
def test_broken_rule(place: Callable[..., None], source: str, words: tuple[str, ...]) -> None:
    """What breaks a rule is an error with its package."""
    place(source)
    message = error_message(load_all)
    for word in ("claims of the installed package theirs 0.1", "repair or uninstall", *words):
        assert word in message
    assert load("lemma_1").label == "lemma_1"  # our own are not touched


def test_failing_claim(place: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    """A claim that breaks down is named and the run goes on."""
    place(
        "random = replace(own, cases=lambda factory: factory.random(1))\n"
        "CLAIMS = [replace(random, measure=lambda case: 1 / 0), replace(random, label='sound')]"
    )
    report = verify(["theirs", "sound"])
    assert [(c["label"], c["verdict"]) for c in report.records["claims"]] == [("theirs", "ERROR"), ("sound", "HOLDS")]
    assert not report.sound
    verify_output.log_notes(report.records, None)
    line = "icl-theory: not sound: theirs: ERROR in theirs 0.1: ZeroDivisionError (division by zero) at theirs.py:5"
    assert capsys.readouterr().err.startswith(line)


def test_only_ours() -> None:
    """Without other packages there are only ours."""
    plugins.claims.cache_clear()
    assert all_labels() == LABELS
