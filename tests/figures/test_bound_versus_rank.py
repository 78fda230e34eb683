"""The figure from made-up records: files that decode, nothing global touched, infinite bounds named."""

import re
import zlib
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from helpers import error_message
from matplotlib.image import imread
from sweep_records import sweep

from icl_theory.figures import bound_versus_rank
from icl_theory.records import sweep_means


def test_files_decode(tmp_path: Path) -> None:
    """Files decode and are not blank."""
    files = bound_versus_rank.bound_versus_rank(sweep(modules=("value", "key")), tmp_path / "figure")
    assert [path.name for path in files] == ["figure.pdf", "figure.png"]
    assert files[0].read_bytes().startswith(b"%PDF")
    image = imread(files[1])
    assert image.shape[0] > 600
    assert image.shape[1] == 1500
    ink = (image[..., :3].min(axis=-1) < 0.9).mean()
    assert 0.01 < ink < 0.5


def test_equal_bytes(tmp_path: Path) -> None:
    """Equal records give equal bytes without a date."""
    first, second = (bound_versus_rank.bound_versus_rank(sweep(), tmp_path / name) for name in ("a", "b"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert b"CreationDate" not in first[0].read_bytes()
    assert b"Matplotlib" not in first[0].read_bytes()


def test_nothing_global_changes(tmp_path: Path) -> None:
    before = {name: str(value) for name, value in dict.items(matplotlib.rcParams)}
    bound_versus_rank.bound_versus_rank(sweep(), tmp_path / "figure")
    assert {name: str(value) for name, value in dict.items(matplotlib.rcParams)} == before


def words(figure: Any) -> str:
    texts = [text.get_text() for text in figure.texts]
    return "\n".join(texts + [text.get_text() for legend in figure.legends for text in legend.get_texts()])


def test_infinite_bounds() -> None:
    """Infinite bounds are named with their reason."""
    figure = bound_versus_rank._figure([((0, "value"), sweep())])
    said = words(figure)
    assert "Theorem 2 as printed = +∞: its hypothesis $C_t$ ≻ 0 never holds" in said
    assert "Gaussian prior (+∞ at rank 6)" in said
    assert "3 seeds" in said


def test_many_rows(tmp_path: Path) -> None:
    """Many rows go into several files."""
    files = bound_versus_rank.bound_versus_rank(
        sweep(seeds=1, modules=("value", "key"), layers=3), tmp_path / "f", formats=("png",)
    )
    assert [path.name for path in files] == ["f.png", "f-2.png"]


def test_gap_below_zero(tmp_path: Path) -> None:
    """A gap at or below zero is drawn without a warning."""
    assert bound_versus_rank.bound_versus_rank(sweep(gap=-0.01), tmp_path / "f")


def test_error_bars() -> None:
    """Error bars hold spread over seeds and noise within."""
    rows = [{"rank": 1, "task": 0, "seed": value, "gap": {"value": value, "stderr": 0.3}} for value in (1.0, 3.0)]
    ranks, mean, error = sweep_means.over_ranks(rows, sweep_means.estimate_at("gap"))
    assert (ranks[0], mean[0]) == (1, 2.0)
    np.testing.assert_allclose(error[0], np.hypot(np.sqrt(2.0 / 2), 0.3))


def test_lower_end() -> None:
    """The lower end becomes a bound."""
    row = {"sandwich": {"lower": {"value": 2.0}}, "trivial": 4.0, "demonstrations": 80}
    np.testing.assert_allclose(sweep_means.lower_end_bound(row)[0], 2.0 * np.sqrt(2 * 2.0 / 80))


@pytest.mark.parametrize("records", [[], [{"rank": 1}]])
def test_unusable_records(records: list, tmp_path: Path) -> None:
    """Unusable records are errors."""
    assert "rank_sweep" in error_message(bound_versus_rank.bound_versus_rank, records, tmp_path / "f") or not records
    assert not list(tmp_path.iterdir())


def test_unknown_format(tmp_path: Path) -> None:
    """An unknown format is an error."""
    assert "svg" in error_message(bound_versus_rank.bound_versus_rank, sweep(), tmp_path / "f", formats=("svg",))


def test_searchable_fonts(tmp_path: Path) -> None:
    """Journals reject Type 3 fonts."""
    content = bound_versus_rank.bound_versus_rank(sweep(), tmp_path / "f", formats=("pdf",))[0].read_bytes()
    streams = re.findall(rb"stream\r?\n(.*?)\nendstream", content, re.DOTALL)
    text = content + b"".join(zlib.decompress(s) for s in streams if s.startswith(b"x"))
    assert b"/Type3" not in text
    assert b"/Type0" in text
