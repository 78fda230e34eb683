"""The command in fresh processes: quick help, one line for bad input, one JSON document, honest exit status."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from icl_theory import __version__, commands
from icl_theory.report import bounds
from icl_theory.report.bounds_config import SweepConfig

ONE_LINE = "icl-theory: error: "


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory of our own: tests leave the user's alone."""
    return tmp_path_factory.mktemp("cache")


def command(cache: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.run(
        [sys.executable, "-m", "icl_theory", *arguments],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
        env=variables,
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The single line that a refusal puts on standard error."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(ONE_LINE)
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_help_loads_nothing_heavy() -> None:
    heavy = ("jax", "numpy", "scipy", "matplotlib", "rich", "sympy", "flax", "optax", "orbax")
    code = "import sys\nfrom icl_theory.cli import main\nassert main(['--help']) == 0\n"
    code += f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"
    for name in ("verify", "train", "bounds", "explain"):
        assert name in done.stdout


@pytest.mark.parametrize("name", ["verify", "train", "bounds", "explain", "recheck"])
def test_every_command_has_help(cache: Path, name: str) -> None:
    done = command(cache, name, "--help")
    assert done.returncode == 0
    assert "--json" in done.stdout


def test_version(cache: Path) -> None:
    assert command(cache, "--version").stdout == f"icl-theory {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("verify", "bounds", "explain")),
        (("explane",), ("explane",)),
        (("verify", "--claims", "lema_1"), ("'lema_1'", "expected", "'lemma_1'")),
        (("verify", "--seed", "x"), ("--seed", "'x'")),
        (("verify", "--seed", "-1"), ("-1", "expected")),
        (("verify", "--profile", "quik"), ("quik", "quick")),
        (("verify", "--compare", "no/such/file"), ("no/such/file", "a JSON file")),
        (("verify", "--compare", "pyproject.toml"), ("pyproject.toml", "a JSON document")),
        (("explain", "zzz"), ("'zzz'", "icl-theory explain")),
        (("bounds", "--rank", "1"), ("--rank", "--ranks")),
        (("bounds", "--ranks", "1", "7"), ("ranks: got 7", "from 0 to 6")),
        (("bounds", "--ranks", "-1"), ("ranks: got -1",)),
        (("bounds", "--shots", "80"), ("shots: got 80", "from 1 to 79")),
        (("bounds", "--model", "optimum", "--layers", "2"), ("layers: got 2",)),
        (("bounds", "--layer", "1"), ("layer: got 1",)),
        (("bounds", "--clip", "nan"), ("clip: got nan",)),
        (("bounds", "--module", "valu"), ("valu", "value")),
        (("train", "--steps", "0"), ("steps: got 0",)),
        (("train", "--readout", "both"), ("both", "minus")),
        (("train", "--layers", "2", "--stop-excess", "0.1"), ("stop_excess", "2 layers", "known")),
        (("train", "--checkpoint-every", "0"), ("checkpoint_every: got 0",)),
        (("train", "--resume"), ("resume: got no directory", "--out")),
    ],
)
def test_bad_input_is_one_line_and_status_2(cache: Path, arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    line = refused(command(cache, *arguments))
    for word in words:
        assert word in line


@pytest.mark.parametrize("name", ["verify", "train", "bounds"])
def test_an_out_that_is_a_file_or_in_use_is_refused(cache: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert "directory" in refused(command(cache, name, "--out", str(tmp_path / "file")))
    assert "not empty" in refused(command(cache, name, "--out", str(tmp_path)))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_bad_input_makes_no_directory(cache: Path, tmp_path: Path) -> None:
    refused(command(cache, "bounds", "--ranks", "99", "--out", str(tmp_path / "new")))
    refused(command(cache, "verify", "--claims", "none", "--out", str(tmp_path / "new")))
    assert not (tmp_path / "new").exists()


def test_explain_lists_and_explains(cache: Path) -> None:
    from icl_theory.claims import LABELS

    listing = command(cache, "explain")
    assert listing.returncode == 0
    assert [line.strip() for line in listing.stdout.splitlines()[1:]] == list(LABELS)
    assert json.loads(command(cache, "explain", "--json").stdout) == {"claims": list(LABELS)}
    done = command(cache, "explain", "lemma_1")
    assert done.returncode == 0
    for word in ("lemma_1", "statement", "assumptions", "source", "what is checked", "controls", "2406.03768"):
        assert word in done.stdout
    assert json.loads(command(cache, "explain", "lemma_1", "--json").stdout)["label"] == "lemma_1"


def test_an_ascii_terminal_gets_ascii(cache: Path) -> None:
    done = command(cache, "explain", "lemma_1", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "Delta W" in done.stdout


def test_bounds_in_json_is_one_document(cache: Path) -> None:
    done = command(cache, "bounds", "--model", "optimum", "--ranks", "1", "3", "--samples", "64", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert [record["rank"] for record in document["sweep"]] == [1, 3]
    assert document["sweep"][0]["rungs"]["theorem_2_printed"]["value"] == "inf"
    assert document["configuration"]["model"] == "optimum"
    assert "out" not in document["configuration"]
    assert "on cpu" in done.stderr or document["environment"]["device"] in done.stderr


@pytest.mark.slow
def test_bounds_writes_records_and_figure_and_never_twice(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    arguments = ("bounds", "--model", "random", "--seeds", "2", "--ranks", "2", "--samples", "32", "--out", str(out))
    done = command(cache, *arguments)
    assert done.returncode == 0, done.stderr
    assert "d_S" in done.stdout
    figures = ("bound_versus_gap", "bound_versus_rank", "information_versus_support", "tightness")
    names = {f"{name}.{kind}" for name in figures for kind in ("pdf", "png")}
    names |= {"records.json", "records.csv", "entries.jsonl", "weights.npz"}
    assert {path.name for path in out.iterdir()} == names
    before = (out / "records.json").read_bytes()
    refused(command(cache, *arguments))
    assert (out / "records.json").read_bytes() == before
    assert command(cache, *arguments, "--overwrite").returncode == 0
    again = json.loads((out / "records.json").read_bytes())
    assert again["sweep"] == json.loads(before)["sweep"]  # the same seed gives the same numbers


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on(cache: Path, tmp_path: Path) -> None:
    """Killed in the middle, resumed, and compared with a run that nobody disturbed; other settings are refused."""
    arguments = ("bounds", "--model", "random", "--seeds", "3", "--samples", "1500", "--out", str(tmp_path / "run"))
    process = subprocess.Popen(
        [sys.executable, "-m", "icl_theory", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    journal = tmp_path / "run" / "entries.jsonl"
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert not (tmp_path / "run" / "records.json").exists()
    assert "seed 1 (saved: 0)" in refused(command(cache, *arguments, "--seed", "1", "--resume"))
    assert command(cache, *arguments, "--resume").returncode == 0
    resumed = json.loads((tmp_path / "run" / "records.json").read_bytes())["sweep"]
    assert [record["rank"] for record in resumed] == [1, 2, 3, 4, 5, 6] * 3
    assert resumed == bounds.run(SweepConfig(model="random", seeds=3, samples=1500))["sweep"]
    refused(command(cache, "bounds", "--out", str(tmp_path / "nowhere"), "--resume"))


def test_compiled_programs_are_kept_in_the_cache_directory(tmp_path: Path) -> None:
    arguments = ("bounds", "--seeds", "1", "--steps", "20", "--ranks", "1", "--samples", "16")
    assert command(tmp_path, *arguments).returncode == 0
    kept = {path.name for path in (tmp_path / "icl_theory").iterdir()}
    assert kept
    assert command(tmp_path, *arguments).returncode == 0
    # Nothing was compiled anew: what would be a different program under the same settings has another name.
    programs = {name for name in kept if name.endswith("-cache")}
    assert {path.name for path in (tmp_path / "icl_theory").glob("*-cache")} == programs


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = command(tmp_path / "file", "bounds", "--model", "optimum", "--ranks", "1", "--samples", "16")
    assert done.returncode == 0, done.stderr
    assert "without a compilation cache" in done.stderr


INTERRUPTIBLE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from icl_theory.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""The command as a terminal starts it: what a shell starts in the background inherits an interrupt that is ignored."""


def test_an_interrupt_is_one_line_and_status_130(cache: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "bounds", "--steps", "10000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    try:
        assert process.stderr is not None
        while "training" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert rest.strip().splitlines()[-1] == "icl-theory: interrupted"
    assert "Traceback" not in rest


def test_a_reader_that_leaves_early_causes_no_traceback(cache: Path) -> None:
    script = f"{sys.executable} -m icl_theory explain | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_only_the_first_paragraph_of_a_parser_s_box_is_kept() -> None:
    box = (
        "╭─ Invalid ─╮\n│ bad value │\n│ for x. │\n│ ───── │\n│ For full helptext, run icl-theory verify --help │\n╰──╯"
    )
    assert commands._one_line(box) == "bad value for x; see icl-theory verify --help"
    assert commands._one_line("something else") == "something else"


@pytest.mark.slow
def test_verify_says_what_has_changed(cache: Path, tmp_path: Path) -> None:
    arguments = ("verify", "--claims", "theorem_2_scalar")
    done = command(cache, *arguments, "--json")
    before = json.loads(done.stdout)
    assert "comparison" not in before
    before["claims"][0]["verdict"] = "HOLDS"
    before["claims"].append(before["claims"][0] | {"label": "lemma_1"})
    (tmp_path / "records.json").write_text(json.dumps(before), encoding="utf-8")
    done = command(cache, *arguments, "--compare", str(tmp_path / "records.json"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "theorem_2_scalar: HOLDS → FAILS" in lines
    assert "lemma_1: not examined this time, was HOLDS" in lines
    assert lines[-1] == "compared: 1 verdict changed, 0 claims the same"
    out = tmp_path / "run"
    done = command(cache, *arguments, "--json", "--out", str(out), "--compare", str(tmp_path))  # the directory will do
    changes = json.loads(done.stdout)["comparison"]
    assert changes["verdicts"] == [{"label": "theorem_2_scalar", "old": "HOLDS", "new": "FAILS"}]
    assert changes["gone"] == []
    page = (out / "report.html").read_text(encoding="utf-8")
    assert '<section class="changes" id="changes"><h2>Since another run</h2>' in page
    assert "comparison" not in json.loads((out / "records.json").read_text(encoding="utf-8"))


def test_recheck_reads_a_counterexample(cache: Path, tmp_path: Path) -> None:
    done = command(cache, "verify", "--claims", "theorem_2_scalar", "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert f"the report is {tmp_path / 'run' / 'report.html'}" in done.stderr
    names = {"report.html", "records.json", "records.csv", "bound_versus_rank.pdf", "bound_versus_rank.png"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names | {"counterexamples"}
    file = tmp_path / "run" / "counterexamples" / "theorem_2_scalar.json"
    done = command(cache, "recheck", str(file))
    assert done.returncode == 0
    assert "confirmed, the statement fails here" in done.stdout
    document = json.loads(file.read_text(encoding="utf-8"))
    document["claim"] = "lemma_1"  # true of these weights, so this is no counterexample to it
    file.write_text(json.dumps(document), encoding="utf-8")
    assert command(cache, "recheck", str(file)).returncode == 1
    done = command(cache, "recheck", str(tmp_path / "missing.json"))
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
