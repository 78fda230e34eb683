"""Records of a grid: the same bytes for the same numbers, nothing missing, nothing of another kind."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from schema import problems
from small_grid import made_up

from icl_theory.grids import Table, findings, grid, read_record
from icl_theory.grids.finding_records import finding_record, findings_csv
from icl_theory.grids.judgement import judge
from icl_theory.grids.records import compressed, settings_of, write_record
from icl_theory.grids.registration import digests

QUICK = grid("quick")
UNITS = made_up(QUICK)


def test_same_bytes_in_any_order() -> None:
    """Units come in the order of the grid, and once, however they were given."""
    once = compressed("edits", QUICK, UNITS)
    assert compressed("edits", QUICK, UNITS[::-1]) == compressed("edits", QUICK, [*UNITS, UNITS[2]]) == once
    document = json.loads(gzip.decompress(once))
    assert [tuple(r["unit"]) for r in document["units"]] == [
        (u.attention, u.mlp, u.task, u.training) for u in QUICK.units
    ]
    assert document["registered"] == digests()
    assert document["profile"] == "quick"


def test_gaps_and_contradictions_are_refused() -> None:
    """A unit that is missing, or there twice with different numbers."""
    with pytest.raises(ValueError, match="without 1 of its units"):
        compressed("edits", QUICK, UNITS[:-1])
    other = json.loads(json.dumps(UNITS[0]))
    other["regimes"]["short"]["conditions"]["value"][0][0] += 1
    with pytest.raises(ValueError, match="twice with different numbers"):
        compressed("edits", QUICK, [*UNITS, other])


def test_read_back(tmp_path: Path) -> None:
    """The numbers are those written, and no registered file has changed."""
    name, table, changed = read_record(write_record(tmp_path / "grid.json.gz", "edits", QUICK, UNITS))
    assert (name, changed) == ("edits", [])
    assert isinstance(table, Table)
    cell = next(findings()["clipping_helps"].cells(QUICK))
    number = UNITS[0]["regimes"]["short"]["shots"]["10"]["before"]
    assert table.before(cell, 10) == pytest.approx(np.array(number)[:, 1])


def test_changed_files_are_named(tmp_path: Path) -> None:
    """A registered file that is not that of the run is named."""
    document = json.loads(gzip.decompress(compressed("edits", QUICK, UNITS)))
    document["registered"]["clipping_helps"] = "0" * 64
    path = tmp_path / "grid.json.gz"
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    assert read_record(path)[2] == ["clipping_helps"]


CONTENTS = {
    "empty": b"",
    "no gzip": b"no gzip",
    "no json": gzip.compress(b"no json", mtime=0),
    "a list": gzip.compress(b"[1]", mtime=0),
    "no units": gzip.compress(b'{"grid": "edits", "profile": "quick"}', mtime=0),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """One line for whatever is no record."""
    path = tmp_path / "grid.json.gz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"record of the grid: got .*which is none"):
        read_record(path)
    with pytest.raises(ValueError, match="which is none"):
        read_record(tmp_path / "missing.json.gz")


def test_settings_name_every_file() -> None:
    """A run is determined by its profile and the registered files."""
    assert settings_of("edits", "quick")["registered"] == digests()


def test_findings_as_records(tmp_path: Path) -> None:
    """Judged findings fit the schema; the table has a row for each cell."""
    _, table, _ = read_record(write_record(tmp_path / "grid.json.gz", "edits", QUICK, UNITS))
    judged = [judge(findings()[name], table) for name in ("clipping_helps", "conditions_grow")]
    records = [finding_record(found) for found in judged]
    plain = json.loads(json.dumps(records))
    document = {"format": 1, "grid": "edits", "profile": "quick", "seeds": 4, "changed_after": [], "findings": plain}
    assert problems(document, "grid_findings") == []
    rows = findings_csv(records).splitlines()
    assert len(rows) == 1 + sum(len(found.cells) for found in judged)
    for outcome in ("for", "against", "undecided", "not finite"):
        assert records[1]["counts"][outcome] == judged[1].count(outcome)
    assert records[1]["counts"]["for"] != records[1]["counts"]["against"]
    assert records[0]["paper_cell"] is None  # the quick profile has no causal softmax with an MLP
