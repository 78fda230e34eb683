"""`icl-theory cache`: what is kept in the user's cache directory, shown and removed."""

import json
from pathlib import Path

from command_line import fresh
from small_training import small

from icl_theory.tasks.linear_regression import LinearRegression
from icl_theory.training.ensemble_cache import EnsembleCache


def test_cache_command(tmp_path: Path) -> None:
    """What is kept is shown, and removed when told to; an empty cache is no error."""
    folder = tmp_path / "command"
    folder.mkdir()
    empty = fresh(folder, "cache", "--json")
    assert empty.returncode == 0, empty.stderr
    assert json.loads(empty.stdout) == {
        "folder": str(folder / "icl_theory"),
        "programs": {"files": 0, "bytes": 0},
        "ensembles": [],
    }
    kept = EnsembleCache(folder / "icl_theory" / "ensembles")
    kept.put(LinearRegression(3, noise_std=0.2), 7, small())
    kept.folder.joinpath("odd.npz").write_bytes(b"no npz file")
    programs = folder / "icl_theory" / "programs"
    programs.mkdir()
    (programs / "jit_f-0-cache").write_bytes(b"1234")
    shown = fresh(folder, "cache").stdout
    assert "1 compiled programs" in shown
    assert "2 trained ensembles" in shown
    assert "LinearRegression: L=2, 3 seeds, 23 steps, N=7, seed 7" in shown
    assert "odd.npz: damaged" in shown
    assert ", now cleared" in fresh(folder, "cache", "--clear").stdout
    assert json.loads(fresh(folder, "cache", "--json").stdout)["ensembles"] == []
