"""The harness of mutation testing distinguishes killed from survived, stale and red, and goes on where it stopped."""

import json
from pathlib import Path

import mutation
import pytest
from defects import Defect, load, mirrors, trial

ROOT = Path(__file__).parents[1]
SOURCE = '''def mean(values):
    """a + b"""
    return sum(values) / len(values)  # a + b


def twice(a):
    return a + a
'''
DEFECTS = load()


def test_the_tests_of_a_file():
    stages = mirrors.stages(ROOT, "icl_theory/risk/population.py")
    assert stages["named"][0] == "risk/test_population.py"
    assert "descent/test_agreement.py" not in stages["named"]
    assert not set(stages["named"]) & set(stages["importing"])
    assert "risk/test_population.py" in mirrors.stages(ROOT, "icl_theory/risk/one_layer.py")["named"]
    everything = [name for names in stages.values() for name in names]
    left_out = {"test_mutation.py", "test_defects.py"}
    assert not left_out & {*everything, *mirrors.deep(ROOT, everything)}
    folder = ROOT / "tests"
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("test_*.py")} - left_out
    assert set(everything) | set(mirrors.deep(ROOT, everything)) == present
    assert len({Path(name).name for name in present}) == len(present), "the list names tests without their folders"
    listed = {f"test_{name}.py" for names in mirrors.LISTED.values() for name in names}
    assert listed <= {Path(name).name for name in present}


def test_the_claims_of_a_file():
    assert "trained_descends" in mirrors.claims(ROOT, "icl_theory/descent/agreement.py")
    assert mirrors.claims(ROOT, "icl_theory/claims/attention/lemma_1.py") == ["lemma_1"]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A package of one function with two tests, one of which checks it; tests are run for real, but without jax."""
    root = tmp_path / "tree"
    (root / "icl_theory").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "icl_theory" / "__init__.py").write_text("", encoding="utf-8")
    (root / "icl_theory" / "__init__.pyi").write_text("from .one import mean as mean\n", encoding="utf-8")
    (root / "icl_theory" / "one.py").write_text(SOURCE, encoding="utf-8")
    sees = "from icl_theory.one import mean\n\ndef test_mean():\n    assert mean([1, 3]) == 2\n"
    (root / "tests" / "test_one.py").write_text(sees, encoding="utf-8")
    (root / "tests" / "test_mutation.py").write_text("assert False\n", encoding="utf-8")
    monkeypatch.setattr(mutation, "ROOT", root)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return root


def run(tree: Path, defects: list[Defect], *options: str) -> dict[str, dict]:
    """Outcomes by name, the journal beside the tree."""
    out = tree.parent / "journal.jsonl"
    arguments = mutation.parsed(["--out", str(out), *options])
    return mutation.campaign(defects, trial.Journal(out), arguments, lambda _text: None)[0]


def named(name: str, old: str, new: str) -> Defect:
    return Defect(name, "icl_theory/one.py", "formula", old, new, "a mean that is none")


SEEN = named("seen", "len(values)", "(len(values) - 1)")
UNSEEN = named("unseen", "return a + a", "return 3 * a")
GONE = named("gone", "median", "mean")


def test_outcomes(tree):
    """Killed survived and stale."""
    results = run(tree, [SEEN, UNSEEN, GONE])
    assert {name: line["outcome"] for name, line in results.items()} == {
        "seen": "killed",
        "unseen": "survived",
        "gone": "stale",
    }
    assert results["seen"]["by"] == "tests/test_one.py::test_mean"
    assert (tree / "icl_theory" / "one.py").read_text(encoding="utf-8") == SOURCE
    text = mutation.table([SEEN, UNSEEN, GONE], results)
    assert "formula                1     3    33.3%" in text
    assert "unseen (formula): a mean that is none" in text


def test_contents_of_a_copy(tree, tmp_path):
    """A copy has the package of runs and not what runs have written."""
    for folder in (tree / "runs", tree / "icl_theory" / "runs"):
        folder.mkdir()
        (folder / "x.py").touch()
    copy = trial.Copy(tree, tmp_path / "copy")
    assert not (copy.root / "runs").exists()
    assert (copy.root / "icl_theory" / "runs" / "x.py").exists()


def test_endless_test(tree, tmp_path):
    """What never ends is ended with all it has started."""
    copy = trial.Copy(tree, tmp_path / "copy")
    child = "import time; time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    ran = copy.run(["-c", parent], 1.0)
    assert ran.code is None
    assert trial._failed(ran) == "timeout"
    assert ran.seconds < 20, "the output ends when the last process that writes to it does"


class Calls(list):
    """What a copy's tests were called with: names, and whether a defect was planted."""

    def stand_in(self, seen: str, red: tuple[str, ...] = ()):
        """Stands for `Copy.tests`: the first file sees a defect with `seen` in its text, `red` ones fail always."""

        def tests(copy, names, limit):
            del limit
            text = (copy.root / "icl_theory" / "one.py").read_text(encoding="utf-8")
            self.append((tuple(names), text.strip() != SOURCE.strip()))
            failed = next((name for name in names if name in red or (seen in text and name == names[0])), "")
            output = f"FAILED tests/{failed}::test_x - assert\n" if failed else "1 passed"
            return trial.Ran(int(bool(failed)), output, 0.1)

        return tests

    def tried(self) -> list[tuple[str, ...]]:
        """Names of the runs with a defect since the last call."""
        names = [names for names, planted in self if planted]
        self.clear()
        return names


def test_resumed_run(tree, monkeypatch):
    """A run goes on where it stopped and tries survivors on new tests."""
    calls = Calls()
    monkeypatch.setattr(trial.Copy, "tests", calls.stand_in("len(values) - 1"))
    first = run(tree, [SEEN, UNSEEN])
    assert calls.tried() == [("test_one.py",)] * 2
    assert run(tree, [SEEN, UNSEEN])["seen"] == first["seen"]
    assert calls == []
    (tree / "tests" / "test_two.py").write_text("from icl_theory import mean\n", encoding="utf-8")
    run(tree, [SEEN, UNSEEN])
    assert calls.tried() == [("test_two.py",)], "a survivor meets the new test, and that one alone"
    (tree / "tests" / "test_one.py").write_text("import icl_theory.one\n", encoding="utf-8")
    run(tree, [SEEN, UNSEEN])
    assert calls.tried() == [("test_one.py",), ("test_one.py",)], "what killed it has changed"
    (tree / "icl_theory" / "one.py").write_text(SOURCE + "\n", encoding="utf-8")
    run(tree, [UNSEEN])
    assert calls.tried() == [("test_one.py",), ("test_two.py",)], "the source has changed"


def test_all_other_tests(tree, monkeypatch):
    """All other tests only on request."""
    calls = Calls()
    monkeypatch.setattr(trial.Copy, "tests", calls.stand_in("nowhere"))
    (tree / "tests" / "test_other.py").write_text("", encoding="utf-8")
    (tree / "tests" / "test_import.py").write_text("from icl_theory import one\n", encoding="utf-8")
    run(tree, [UNSEEN], "--quick")
    assert calls.tried() == [("test_one.py",)]
    run(tree, [UNSEEN])
    assert calls.tried() == [("test_import.py",)]
    run(tree, [UNSEEN], "--deep")
    assert calls.tried() == [("test_other.py",)]


def test_red_tests(tree, monkeypatch):
    """Red tests prove nothing."""
    monkeypatch.setattr(trial.Copy, "tests", Calls().stand_in("nowhere", red=("test_one.py",)))
    with pytest.raises(trial.RedBaseline, match=r"test_one\.py fails without any defect"):
        run(tree, [SEEN])
    assert run(tree, [SEEN], "--without-red")["seen"]["outcome"] == "survived"


@pytest.mark.parametrize(
    ("code", "output"),
    [
        (1, "AssertionError: WRONG PACKAGE /elsewhere/icl_theory/__init__.py"),
        (-15, ".."),  # ended by somebody else
        (-9, ""),  # out of memory
        (3, "INTERNALERROR>"),
    ],
)
def test_no_verdict(tree, monkeypatch, code, output):
    """What is no verdict of a test is no result."""
    monkeypatch.setattr(trial.Baseline, "green", lambda self, copy, names: dict.fromkeys(names, 1.0))
    monkeypatch.setattr(trial.Copy, "tests", lambda self, names, limit: trial.Ran(code, output, 0.1))
    assert run(tree, [SEEN])["seen"]["outcome"] == "broken"


def test_claims_as_second_net(tree, monkeypatch):
    """Claims are the second net."""
    monkeypatch.setattr(trial.Copy, "tests", Calls().stand_in("nowhere"))
    monkeypatch.setattr(mirrors, "claims", lambda root, file: ["lemma_1"])
    seen = []

    def verify(_copy, arguments, _limit):
        seen.append(tuple(arguments))
        return trial.Ran(1, "icl-theory: not sound: lemma_1: FAILS\n", 0.1)

    monkeypatch.setattr(trial.Copy, "run", verify)
    assert run(tree, [UNSEEN])["unseen"]["outcome"] == "survived"
    line = run(tree, [UNSEEN], "--claims")["unseen"]
    assert (line["outcome"], line["stage"]) == ("killed", "claims")
    assert seen == [("-m", "icl_theory", "verify", "--claims", "lemma_1")]


def test_half_a_line(tmp_path):
    """Half a line of the journal is not read."""
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps({"name": "one"}) + '\n{"name": "tw', encoding="utf-8")
    assert trial.Journal(path).lines == [{"name": "one"}]
    trial.Journal(path).add({"name": "three"})
    assert [line["name"] for line in trial.Journal(path).lines] == ["one", "three"]


def test_what_is_asked_for():
    def chosen(*options: str) -> list[Defect]:
        return mutation.select(DEFECTS, mutation.parsed(options))

    assert all(d.file == "icl_theory/risk/population.py" for d in chosen("--files", "icl_theory/risk/population.py"))
    assert {d.kind for d in chosen("--class", "error bar")} == {"error bar"}
    assert [d.name for d in chosen("--only", "^risk_stderr_sqrt2$")] == ["risk_stderr_sqrt2"]
    assert [d for d in chosen() if d.equivalent] == []
    silent = next(d for d in DEFECTS if d.equivalent)
    assert chosen("--only", silent.name) == [silent]
