"""`icl-theory grid`: shards and their merge byte for byte, resume, refusals, and what is shown."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import here, red_baseline
from schema import problems
from small_grid import FACTORS, made_up, small_grid

from icl_theory.grids import grid as registered_grid
from icl_theory.grids import registration, unit_table
from icl_theory.grids.records import write_record
from icl_theory.runs import grid
from icl_theory.runs.grid_config import GridConfig, shard_of

SMALL = small_grid(factors=FACTORS | {"task": ("regression",)})


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both profiles are a grid of two ensembles."""
    monkeypatch.setattr(registration, "grid", lambda profile="full": SMALL)


def ran(out: Path, shard: str = "1/1", **options: Any) -> list[dict]:
    config = GridConfig(shard=shard)
    return grid.run(config, grid.prepare(config, out, overwrite=False, resume=options.get("resume", False)), **options)


@pytest.mark.usefixtures("small")
def test_shards_merge_to_the_same_bytes(tmp_path: Path) -> None:
    """One run and two shards, made in the other order, give one file."""
    whole = ran(tmp_path / "one")
    second, first = ran(tmp_path / "b", "2/2"), ran(tmp_path / "a", "1/2")
    assert [r["unit"] for r in whole] == [["linear", "none", "regression", training] for training in ("short", "long")]
    assert first + second == whole
    assert not (tmp_path / "a" / grid.RECORD).exists()
    (tmp_path / "both").mkdir()
    merged = grid.merge(GridConfig(), [tmp_path / "b", tmp_path / "a"], tmp_path / "both")
    assert merged.read_bytes() == (tmp_path / "one" / grid.RECORD).read_bytes()
    with pytest.raises(ValueError, match="without 1 of its units"):
        grid.merge(GridConfig(), [tmp_path / "a"], tmp_path / "both")
    with pytest.raises(ValueError, match="which holds no shard"):
        grid.merge(GridConfig(), [tmp_path / "a", tmp_path / "nowhere"], tmp_path / "both")


@pytest.mark.usefixtures("small")
def test_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is finished is taken over; the rest is made; to resume nothing is to start."""
    whole = ran(tmp_path / "one", resume=True)
    text = (tmp_path / "one" / grid.UNITS).read_text(encoding="utf-8")
    cut = tmp_path / "two"
    cut.mkdir()
    (cut / grid.UNITS).write_text(text[: text.rindex("{", 0, -200) + 40], encoding="utf-8")
    made: list[str] = []
    real = unit_table.unit_record
    monkeypatch.setattr(unit_table, "unit_record", lambda g, u, p=None: made.append(u.training) or real(g, u, p))
    assert ran(cut, resume=True) == whole
    assert made == ["long"]  # the line of the second ensemble was broken off
    assert (cut / grid.RECORD).read_bytes() == (tmp_path / "one" / grid.RECORD).read_bytes()


@pytest.mark.usefixtures("small")
def test_other_registration_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run does not go on under another registered file, which is named."""
    ran(tmp_path / "one")
    old = registration.digests()
    monkeypatch.setattr("icl_theory.grids.records.digests", lambda name: old | {"clipping_helps": "other"})
    with pytest.raises(ValueError, match=r"resume: got registered file clipping_helps other"):
        ran(tmp_path / "one", resume=True)


@pytest.mark.parametrize("shard", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", ""])
def test_shards_that_are_none(shard: str) -> None:
    """i/n with 1 ≤ i ≤ n."""
    with pytest.raises(ValueError, match="shard: got"):
        shard_of(GridConfig(shard=shard))
    assert shard_of(GridConfig(shard="2/5")) == (2, 5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--shard", "1/2"), "--out: got no directory"),
        (("--profile", "full"), "--out: got no directory"),
        (("--resume",), "--out: got no directory"),
        (("--merge", "a", "b"), "--out: got no directory"),
        (("clipping_helps", "--out", "somewhere"), "--out: got also a finding"),
        (("--record", "r.json.gz", "--out", "somewhere"), "--out: got also a record"),
        (("--merge", "a", "--resume", "--out", "somewhere"), "--merge: got also resume"),
        (("no_such_finding",), "finding: got 'no_such_finding'"),
        (("--record", "no_such_file"), "which is none"),
    ],
)
def test_refusals(arguments: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    assert words in red_baseline(here("grid", *arguments))
    assert list(tmp_path.iterdir()) == []


def test_what_is_shown(tmp_path: Path) -> None:
    """The table, one finding, and the document of a record of made-up numbers."""
    quick = registered_grid("quick")
    record = str(write_record(tmp_path / "grid.json.gz", "edits", quick, made_up(quick)))
    table = here("grid", "--record", record)
    assert table.returncode == 0
    assert "deep_layers_tolerate" in table.stdout
    assert "mlp_conditioned" not in table.stdout  # the quick profile has no MLP
    one = here("grid", "clipping_helps", "--record", record)
    assert "Some clipping lowers the test error" in one.stdout
    assert "of 32 cells" in one.stdout
    document = json.loads(here("grid", "--record", record, "--json").stdout)
    assert problems(document, "grid_findings") == []
    assert document["seeds"] == 4


@pytest.mark.usefixtures("small")
def test_command_runs_and_merges(tmp_path: Path) -> None:
    """Shards by the command, put together by the command."""
    for part in ("1/2", "2/2"):
        done = here("grid", "--shard", part, "--out", str(tmp_path / part[0]))
        assert done.returncode == 0, done.stderr
        assert "put all shards together with --merge" in done.stderr
    merged = here("grid", "--merge", str(tmp_path / "1"), str(tmp_path / "2"), "--out", str(tmp_path / "all"))
    assert merged.returncode == 0, merged.stderr
    assert {path.name for path in (tmp_path / "all").iterdir()} == {grid.RECORD, "findings.csv", "findings.json"}
    document = json.loads((tmp_path / "all" / "findings.json").read_text(encoding="utf-8"))
    assert problems(document, "grid_findings") == []
