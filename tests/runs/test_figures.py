"""`icl-theory figures`: records kept and taken over, captions, scripts, and what is refused."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from command_line import here

from icl_theory.runs import figures
from icl_theory.runs.figure_records import of_theory
from icl_theory.runs.figures_config import FigureName, FiguresConfig

ROOT = Path(__file__).parents[2]
QUICK = ("theorem_2", "truncation_trap", "noise_quantiles")


def test_every_name_is_a_figure_and_a_script() -> None:
    """Names, figures and scripts are the same, and a script draws the figure of its name."""
    assert tuple(figures.FIGURES) == get_args(FigureName)
    for name in figures.FIGURES:
        assert f'script("{name}"' in (ROOT / f"paper_figures/{name}.py").read_text(encoding="utf-8")


def test_listing() -> None:
    """Without a directory the figures are listed with their captions."""
    listed = here("figures")
    assert all(name in listed.stdout for name in figures.FIGURES)
    document = json.loads(here("figures", "--json").stdout)
    assert [found["name"] for found in document["figures"]] == list(figures.FIGURES)
    assert all("{" not in found["caption"] for found in document["figures"])


def test_records_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A figure, its caption and its record; with --resume the record is read, for other settings made again."""
    out = str(tmp_path / "figures")
    done = here("figures", *QUICK, "--out", out)
    assert done.returncode == 0, done.stderr
    for name in QUICK:
        assert {path.suffix for path in (tmp_path / "figures").glob(f"{name}.*")} == {".pdf", ".png", ".txt"}
    caption = (tmp_path / "figures/theorem_2.txt").read_text(encoding="utf-8")
    assert "4 times 50000 runs" in caption
    before = (tmp_path / "figures/theorem_2.pdf").read_bytes()
    calls: list[int] = []
    real = of_theory.theorem_2
    monkeypatch.setattr(of_theory, "theorem_2", lambda *given: calls.append(1) or real(*given))
    again = here("figures", "theorem_2", "--out", out, "--resume")
    assert (again.returncode, calls) == (0, [])
    assert (tmp_path / "figures/theorem_2.pdf").read_bytes() == before
    assert here("figures", "theorem_2", "--out", out, "--resume", "--seed", "1").returncode == 0
    assert calls == [1]
    assert here("figures", "theorem_2", "--out", out).returncode == 2


def test_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script draws what the command draws, from the record alone; without a record it says so in one line."""
    out = tmp_path / "figures"
    assert here("figures", "truncation_trap", "--out", str(out)).returncode == 0
    path = ROOT / "paper_figures/truncation_trap.py"
    monkeypatch.setattr(sys, "argv", [str(path), "--records", str(out), "--out", str(tmp_path / "again")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    for ending in ("pdf", "png"):
        same = (tmp_path / f"again/truncation_trap.{ending}").read_bytes()
        assert same == (out / f"truncation_trap.{ending}").read_bytes()
    monkeypatch.setattr(sys, "argv", [str(path), "--records", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 2


def test_figures_of_the_grid_follow_its_registration(tmp_path: Path) -> None:
    """The settings of their records hold the digests of the registered files."""
    config = FiguresConfig()
    record: Any = figures.record_of("findings", config, tmp_path)
    assert record["settings"]["registered"] == figures._digests(figures.FIGURES["findings"])
    assert record["seeds"] == 16
    assert "16 seeds" in record["caption"]


@pytest.mark.slow
def test_all_figures_from_nothing(tmp_path: Path) -> None:
    """The quick set, whole."""
    done = here("figures", "--out", str(tmp_path / "all"))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 3 * len(figures.FIGURES)
    risk = json.loads((tmp_path / "all/records/task_rank.json").read_text(encoding="utf-8"))
    assert all(model["under_one_per_cent"] >= 0.9 for model in risk["data"]["models"])
