"""The command: quick help, bad input, one JSON document. `test_exit_status` has every bad ending."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest
from command_line import environment, fresh, fresh_into, here, red_baseline
from helpers import error_message
from jax.experimental.compilation_cache import compilation_cache
from sweep_records import sweep

from icl_theory import __version__, keep_programs
from icl_theory.claims.order import LABELS
from icl_theory.report.terminal import console
from icl_theory.runs import bounds
from icl_theory.runs.bounds_config import SweepConfig

NAMES = ("verify", "train", "bounds", "explain", "recheck", "cache")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory of our own: tests leave the user's alone."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def quick_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify --out` without the ensemble that its figure is about: entries made up beforehand."""

    class Made:
        def __init__(self, _factory: object) -> None:
            pass

        def records(self, _progress: object) -> list[dict]:
            return sweep()

    monkeypatch.setattr("icl_theory.runs.verify.Sweep", Made)


def test_quick_help(cache: Path) -> None:
    """In a fresh process that can show nothing but ASCII: the help of every command, and the version."""
    heavy = ("jax", "numpy", "scipy", "matplotlib", "rich", "sympy", "flax", "optax", "orbax")
    code = "import sys\nfrom icl_theory.cli.main import main\n"
    code += f"for words in [[], *([name] for name in {NAMES})]:\n    assert main([*words, '--help']) == 0\n"
    code += "assert main(['--version']) == 0\n"
    code += f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="ascii",
        timeout=60,
        check=True,
        env=environment(cache, PYTHONIOENCODING="ascii"),
    )
    assert done.stderr.strip() == "[]"
    assert done.stdout.count("usage: icl-theory") == 1 + len(NAMES)
    for name in NAMES:
        assert f"usage: icl-theory {name}" in done.stdout
    assert done.stdout.splitlines()[-1] == f"icl-theory {__version__}"


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp437", "shift_jis"])
@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str, encoding: str) -> None:
    done = here(name, "--help", encoding=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--json" in done.stdout


def test_version() -> None:
    assert here("--version").stdout == f"icl-theory {__version__}\n"


@pytest.mark.parametrize("name", ["verify", "train", "bounds"])
def test_out_in_use(tmp_path: Path, name: str) -> None:
    """An out that is a file or in use is an error."""
    (tmp_path / "file").touch()
    assert "directory" in red_baseline(here(name, "--out", str(tmp_path / "file")))
    assert "not empty" in red_baseline(here(name, "--out", str(tmp_path)))
    assert "name too long" in red_baseline(here(name, "--out", str(tmp_path / ("x" * 300))))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_directory_on_error(tmp_path: Path) -> None:
    """Bad input makes no directory."""
    red_baseline(here("bounds", "--ranks", "99", "--out", str(tmp_path / "new")))
    red_baseline(here("verify", "--claims", "none", "--out", str(tmp_path / "new")))
    red_baseline(here("train", "--steps", "0", "--out", str(tmp_path / "new")))
    red_baseline(here("train", "--out", str(tmp_path / "not utf-8 \udcff")))  # checkpoints cannot be written there
    assert list(tmp_path.iterdir()) == []


def test_explain() -> None:
    """Explain lists and explains."""
    listing = here("explain")
    assert listing.returncode == 0
    lines = listing.stdout.splitlines()
    assert lines[0].startswith(f"{len(LABELS)} claims; ")
    assert sorted(line.split()[0] for line in lines if line.startswith("  ")) == sorted(LABELS)
    groups = [line for line in lines[1:] if line and not line.startswith("  ")]
    subjects = {"attention", "trajectory", "noise", "information", "bounds", "truncation", "pruning", "training"}
    assert (set(groups), len(groups)) == (subjects, len(subjects))
    assert all(len(line) <= 100 for line in lines[1:])
    found = here("explain", "--grep", "WISHART  bound")
    assert [line.split()[0] for line in found.stdout.splitlines() if line.startswith("  ")] == [
        *("wishart_information", "wishart_bound", "wishart_readout_bound", "gap_one_step"),
    ]
    assert here("explain", "--grep", "no such words").stdout.startswith("0 claims; ")
    assert "one of the two" in red_baseline(here("explain", "lemma_1", "--grep", "x"))
    assert json.loads(here("explain", "--json").stdout) == {"claims": list(LABELS)}
    done = here("explain", "lemma_1")
    assert done.returncode == 0
    for word in ("lemma_1", "statement", "assumptions", "source", "what is checked", "controls", "2406.03768"):
        assert word in done.stdout
    assert json.loads(here("explain", "lemma_1", "--json").stdout)["label"] == "lemma_1"


def test_ascii_terminal() -> None:
    """An ascii terminal gets ascii."""
    done = here("explain", "lemma_1", encoding="ascii")
    assert done.returncode == 0
    assert "Delta W" in done.stdout


def test_bounds_json(cache: Path) -> None:
    """A fresh process with a cache of its own, then another of the same settings, whose disk is full in the end."""
    arguments = (
        "bounds",
        "--seeds",
        "1",
        "--steps",
        "20",
        "--ranks",
        "1",
        "3",
        "--samples",
        "16",
        "--json",
        "--tasks",
        "2",
    )
    done = fresh(cache, *arguments)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [(record["task"], record["rank"]) for record in document["sweep"]] == [(0, 1), (0, 3), (1, 1), (1, 3)]
    assert document["sweep"][0]["rungs"]["theorem_2_printed"]["value"] == "inf"
    assert document["configuration"]["model"] == "trained"
    assert "out" not in document["configuration"]
    assert document["environment"]["device"] in done.stderr
    programs = {path.name for path in (cache / "icl_theory" / "programs").glob("*-cache")}
    assert programs
    with open("/dev/full", "w") as full:
        again = fresh_into(full, cache, *arguments)
    assert again.returncode == 2
    assert again.stderr.splitlines()[-1].startswith("icl-theory: error: output: got No space left on device, expected")
    assert "Traceback" not in again.stderr
    # Nothing was compiled first: what would be a different program under the same settings has another name.
    assert {path.name for path in (cache / "icl_theory" / "programs").glob("*-cache")} == programs


@pytest.mark.slow
def test_bounds_files(cache: Path, tmp_path: Path) -> None:
    """Bounds writes records and figure and never twice."""
    out = tmp_path / "run"
    arguments = ("bounds", "--model", "random", "--seeds", "2", "--ranks", "2", "--samples", "32", "--out", str(out))
    done = fresh(cache, *arguments)
    assert done.returncode == 0, done.stderr
    assert "d_S" in done.stdout
    figures = ("bound_versus_gap", "bound_versus_rank", "information_versus_support", "tightness")
    names = {f"{name}.{kind}" for name in figures for kind in ("pdf", "png")}
    names |= {"records.json", "records.csv", "entries.jsonl", "weights.npz", "column_value_0.pdf"}
    assert {path.name for path in out.iterdir()} == names
    before = (out / "records.json").read_bytes()
    red_baseline(fresh(cache, *arguments))
    assert (out / "records.json").read_bytes() == before
    assert fresh(cache, *arguments, "--overwrite").returncode == 0
    again = json.loads((out / "records.json").read_bytes())
    assert again["sweep"] == json.loads(before)["sweep"]  # the same seed gives the same numbers


@pytest.mark.slow
def test_interrupted_sweep(cache: Path, tmp_path: Path) -> None:
    """Killed in the middle, resumed, and compared with a run that nobody disturbed; other settings are an error."""
    arguments = ("bounds", "--model", "random", "--seeds", "3", "--samples", "1500", "--tasks", "2")
    arguments = (*arguments, "--out", str(tmp_path / "run"))
    process = subprocess.Popen(
        [sys.executable, "-m", "icl_theory", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(cache),
    )
    journal = tmp_path / "run" / "entries.jsonl"
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "run" / "records.json").exists()
    assert "seed 1 (saved: 0)" in red_baseline(here(*arguments, "--seed", "1", "--resume"))
    assert fresh(cache, *arguments, "--resume").returncode == 0
    resumed = json.loads((tmp_path / "run" / "records.json").read_bytes())["sweep"]
    assert [record["rank"] for record in resumed] == [1, 2, 3, 4, 5, 6] * 3 * 2
    assert resumed == bounds.run(SweepConfig(model="random", seeds=3, samples=1500, tasks=2))["sweep"]


@pytest.fixture
def jax_settings() -> Iterator[dict[str, object]]:
    """jax's settings about its cache, as they are now; put back afterwards."""
    names = ("compilation_cache_dir", "persistent_cache_min_compile_time_secs", "persistent_cache_min_entry_size_bytes")
    before = {f"jax_{name}": jax.config.values[f"jax_{name}"] for name in names}
    for name, other in zip(before, (None, 7.0, 7), strict=True):
        jax.config.update(name, other)
    yield before
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def test_program_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jax_settings: dict[str, object]) -> None:
    """Programs are kept in the user's cache directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    console.use_cache()
    found = {name: jax.config.values[name] for name in jax_settings}
    assert list(found.values()) == [str(tmp_path / "icl_theory" / "programs"), 0.0, -1]
    assert (tmp_path / "icl_theory").is_dir()
    # A directory that the user has given to jax is used as it is.
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    console.use_cache()
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "mine")


@pytest.mark.usefixtures("jax_settings")
def test_programs_of_a_library(tmp_path: Path) -> None:
    """The public function fills the folder it is given, also after another one has been filled; a file is none."""
    keep_programs(tmp_path / "first")
    jax.jit(lambda x: x + 1.5)(1.0)
    assert list((tmp_path / "first").glob("*-cache"))
    assert keep_programs(tmp_path / "programs") == tmp_path / "programs"
    jax.jit(lambda x: x + 2.5)(1.0)
    assert list((tmp_path / "programs").glob("*-cache"))
    (tmp_path / "file").touch()
    assert "a directory that can be made" in error_message(keep_programs, tmp_path / "file")


@pytest.mark.usefixtures("jax_settings")
def test_unwritable_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A cache that cannot be written is no obstacle."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    console.use_cache()
    assert jax.config.values["jax_compilation_cache_dir"] is None
    assert "going on without a compilation cache" in capsys.readouterr().err


@pytest.mark.usefixtures("quick_sweep")
def test_verify_changes(tmp_path: Path) -> None:
    """Verify says what has changed."""
    arguments = ("verify", "--claims", "theorem_2_scalar")
    done = here(*arguments, "--json")
    before = json.loads(done.stdout)
    assert "changes" not in before
    before["claims"][0]["verdict"] = "HOLDS"
    before["claims"].append(before["claims"][0] | {"label": "lemma_1"})
    (tmp_path / "records.json").write_text(json.dumps(before), encoding="utf-8")
    done = here(*arguments, "--baseline", str(tmp_path / "records.json"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "theorem_2_scalar: HOLDS → FAILS" in lines
    assert "lemma_1: not examined this time, was HOLDS" in lines
    assert lines[-1] == "compared: 1 verdict changed, 0 claims the same"
    out = tmp_path / "run"
    done = here(*arguments, "--json", "--out", str(out), "--baseline", str(tmp_path))  # the directory will do
    changes = json.loads(done.stdout)["changes"]
    assert changes["verdicts"] == [{"label": "theorem_2_scalar", "old": "HOLDS", "new": "FAILS"}]
    assert changes["gone"] == []
    page = (out / "report.html").read_text(encoding="utf-8")
    assert '<section class="changes" id="changes"><h2>Since another run</h2>' in page
    assert "changes" not in json.loads((out / "records.json").read_text(encoding="utf-8"))


@pytest.mark.usefixtures("quick_sweep")
def test_recheck(tmp_path: Path) -> None:
    """Recheck reads a counterexample."""
    done = here("verify", "--claims", "theorem_2_scalar", "--sweep", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert f"the report is {tmp_path / 'run' / 'report.html'}" in done.stderr
    names = {"report.html", "records.json", "records.csv", "bound_versus_rank.pdf", "bound_versus_rank.png"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names | {"counterexamples"}
    file = tmp_path / "run" / "counterexamples" / "theorem_2_scalar.json"
    done = here("recheck", str(file))
    assert done.returncode == 0
    assert "confirmed, the statement fails here" in done.stdout
    document = json.loads(file.read_text(encoding="utf-8"))
    document["claim"] = "lemma_1"  # true of these weights, so this is no counterexample to it
    file.write_text(json.dumps(document), encoding="utf-8")
    assert here("recheck", str(file)).returncode == 1
    assert "missing.json" in red_baseline(here("recheck", str(tmp_path / "missing.json")))


@pytest.mark.slow  # a fresh process, and the ensemble behind the figure
def test_verify_report(cache: Path, tmp_path: Path) -> None:
    """Verify writes its report."""
    done = fresh(cache, "verify", "--claims", "theorem_2_scalar", "--sweep", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    records = json.loads((tmp_path / "run" / "records.json").read_text(encoding="utf-8"))
    assert [entry["rank"] for entry in records["sweep"]] == [1, 2, 3, 4, 5, 6] * 4 * 4 * 2  # seeds, tasks, W_K and W_V
