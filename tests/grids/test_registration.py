"""The registered files: whole, consistent with the code that reads them, and cells as written."""

import hashlib
import tomllib
from math import prod

import pytest

from icl_theory.grids import Finding, findings, grid
from icl_theory.grids.kinds import KINDS
from icl_theory.grids.registration import FOLDER, FOLDERS, TRAINED_FOR, Unit, digests

NAMES = sorted(findings())


def test_every_finding_is_measured() -> None:
    """A file for every measure, and a measure for every file."""
    for name, kind in KINDS.items():
        own = {finding.name for finding in findings().values() if finding.grid == name}
        assert set(kind.measures) == own == {path.stem for path in FOLDERS[name].glob("*.toml")} - {"grid"}


@pytest.mark.parametrize("name", NAMES)
def test_files_are_consistent(name: str) -> None:
    """Levels that models have, a cell nearest to the paper that is one, margins of known kinds."""
    finding = findings()[name]
    full, quick = (KINDS[finding.grid].grid(profile) for profile in ("full", "quick"))
    cells = list(finding.cells(full))
    assert finding.paper_cell in cells
    assert len(cells) == len({tuple(cell.items()) for cell in cells})
    assert all(set(cell) == set(finding.factors) for cell in cells)
    assert set(finding.margin) <= {"regression", "classification"}
    assert finding.origin in ("paper", "reading")
    assert set(finding.levels) <= set(finding.factors)
    assert finding.statement.endswith(".")
    assert all(cell in cells for cell in finding.cells(quick))
    assert not any(
        cell.get("mlp") == "none" and {"mlp", "mlp_in", "mlp_out", "all"} & {*cell.values()} for cell in cells
    )


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("clipping_helps", 3 * 2 * 3 * 5 * 4),
        ("algorithm_1", 3 * 3 * 5 * 4 * (1 + 3)),  # attention alone without an MLP; attention, MLP, all with one
        ("deep_layers_tolerate", 3 * 3 * 5 * 4 * (4 + 5) * 2),
        ("conditions_grow", 3 * 3 * 3 * (3 + 5)),
        ("mlp_conditioned", 3 * 3 * 3),
        ("optimal_rate_varies", 3 * 2 * 3 * 5 * 4 * 3),
        ("more_shots_help", 3 * 2 * 3 * 5 * 4),
        ("exact_gain", 3 * 7 * 3 * 2),
        ("bound_predicts_risk", 3 * 7 * 3 * 5),
    ],
)
def test_cells_counted(name: str, cells: int) -> None:
    """Cells counted by hand."""
    finding = findings()[name]
    assert len(list(finding.cells(KINDS[finding.grid].grid("full")))) == cells


def test_units() -> None:
    """Every attention, MLP, task and training once; the regimes of a unit are those trained so."""
    full = grid("full")
    units = full.units
    assert len(units) == len(set(units)) == 54
    assert {unit.training for unit in units} == {"short", "long", "finite"}
    long = Unit("linear", "none", "regression", "long")
    assert full.regimes_of(long) == ["converged", "noisy", "shifted"]
    assert sum(len(full.regimes_of(unit)) for unit in units) == prod(
        len(full.factors[name]) for name in ("attention", "mlp", "task", "regime")
    )
    assert set(TRAINED_FOR) == set(full.factors["regime"])
    assert full.seeds >= 16


def test_quick_profile() -> None:
    """Fewer levels, seeds and steps; everything else as in the full one."""
    full, quick = grid("full"), grid("quick")
    assert all(set(quick.factors[name]) <= set(full.factors[name]) for name in full.factors)
    assert quick.seeds < full.seeds
    assert quick.regimes["long_steps"] < full.regimes["long_steps"]
    assert {n: v for n, v in quick.regimes.items() if n != "long_steps"} == {
        n: v for n, v in full.regimes.items() if n != "long_steps"
    }
    assert (quick.seed, quick.ranks, quick.judgement) == (full.seed, full.ranks, full.judgement)


def test_margins() -> None:
    """Of the kind of task; low-rank regression is regression; none is 0."""
    finding = findings()["clipping_helps"]
    assert finding.margin_of({"task": "classification"}) == 0.005
    assert finding.margin_of({"task": "low-rank regression"}) == finding.margin_of({"task": "regression"}) == 0.01
    assert findings()["deep_layers_tolerate"].margin_of({"task": "regression"}) == 0.0


def test_digests() -> None:
    """SHA-256 of the bytes of every file."""
    found = digests()
    assert found["grid"] == hashlib.sha256((FOLDER / "grid.toml").read_bytes()).hexdigest()
    assert set(found) | set(digests("prediction")) == {*findings(), "grid"}
    assert digests("prediction")["grid"] != found["grid"]
    assert len(set(found.values())) == len(found)


def test_reading_is_plain() -> None:
    """What a finding says is what its file says."""
    text = tomllib.loads((FOLDER / "shots_and_collapse.toml").read_text(encoding="utf-8"))
    finding: Finding = findings()["shots_and_collapse"]
    assert finding.statement == text["statement"]
    assert finding.registered == text["registered"].isoformat()
    assert list(finding.levels["pair"]) == text["levels"]["pair"]


def test_other_profiles_are_refused() -> None:
    """One clear line."""
    with pytest.raises(ValueError, match="profile: got 'huge'"):
        grid("huge")  # pyright: ignore[reportArgumentType]
