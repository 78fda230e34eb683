"""The figures of a sweep other than bound versus rank: they decode and name what they leave out."""

from pathlib import Path

import numpy as np
import pytest
from helpers import error_message
from matplotlib.image import imread
from sweep_records import sweep

from icl_theory.figures import sweep as figures
from icl_theory.records.sweep_means import distinct_rungs


def test_every_figure(tmp_path: Path) -> None:
    """Every figure is written and not blank."""
    files = figures.sweep_figures(sweep(modules=("value", "query"), layers=2), tmp_path, formats=("png",))
    names = {"bound_versus_gap", "bound_versus_rank", "information_versus_support", "layer_versus_rank", "tightness"}
    assert {path.stem for path in files} == names
    for path in files:
        ink = (imread(path)[..., :3].min(axis=-1) < 0.9).mean()
        assert 0.01 < ink < 0.6, path


def test_no_map_of_layers(tmp_path: Path) -> None:
    """One layer has no map of layers."""
    files = figures.sweep_figures(sweep(), tmp_path, formats=("png",))
    assert "layer_versus_rank" not in {path.stem for path in files}


def test_equal_bytes(tmp_path: Path) -> None:
    """Equal records give equal bytes."""
    first, second = (figures.sweep_figures(sweep(layers=2), tmp_path / n, formats=("png",)) for n in ("a", "b"))
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_numbers_in_cells() -> None:
    """Numbers stand in the cells of the map."""
    axes = figures._layer_versus_rank(sweep(layers=2)).axes
    cells = [text.get_text() for text in axes[0].texts]
    assert len(cells) == 12
    assert cells[5] == cells[11] == "∞"  # every bound is infinite at rank 6
    assert [text.get_text() for text in axes[1].texts] == ["0.050"] * 12


def test_tightness() -> None:
    """Tightness is bound over gap."""
    axis = figures._tightness(sweep(seeds=1)).axes[0]
    drawn = np.asarray(axis.lines[0].get_ydata())
    records = sweep(seeds=1)
    expected = [r["rungs"]["mutual_information"]["value"] / 0.05 for r in records[:5]]
    np.testing.assert_allclose(drawn[:5], expected)
    assert np.isnan(drawn[5])


def test_hidden_points() -> None:
    """Points without a positive gap are counted."""
    said = figures._bound_versus_gap(sweep(gap=-0.01)).texts[0].get_text()
    assert "6 points without a positive gap" in said
    assert "1 point without" in figures._bound_versus_gap(sweep()).texts[0].get_text()


def test_equal_neighbours() -> None:
    """Equal neighbours are shown once."""
    records = sweep(seeds=1)
    assert distinct_rungs(records) == list(records[0]["rungs"])
    for record in records:
        twin = record["rungs"]["gaussian"]
        record["rungs"] = {"path_gaussian": twin, **record["rungs"]}
        record["rungs"] = {"mutual_information": record["rungs"].pop("mutual_information"), **record["rungs"]}
    assert distinct_rungs(records)[:3] == ["mutual_information", "gaussian", "isotropic"]


@pytest.mark.parametrize("records", [[], [{"rank": 1}]])
def test_unusable_records(records: list, tmp_path: Path) -> None:
    """Unusable records are errors."""
    error_message(figures.sweep_figures, records, tmp_path)
    assert not list(tmp_path.iterdir())
