"""Single rungs against the ladder's per-run terms, on the same draws."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_close, error_message, random_matrices

from icl_theory import LinearRegression, Model
from icl_theory.information.ladder.bound_ladder import ladder_of
from icl_theory.information.ladder.noisy_trajectory import Batches
from icl_theory.information.ladder.rung_samples import divergences, path_saving, without_path
from icl_theory.information.ladder.setting import Setting

TASK, W, RUNS, SEED = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1]), 32, 4


def setting_of(layers: int, floor: float) -> Setting:
    model = Model(*random_matrices(np.random.default_rng(layers), layers, 3))
    return Setting(model, TASK, W, 24, 6, floor)


@pytest.mark.parametrize("floor", [0.0, 1e-3])
@pytest.mark.parametrize("layers", [1, 3])
def test_whole_ladder(layers: int, floor: float) -> None:
    """Against the whole ladder."""
    setting = setting_of(layers, floor)
    terms = ladder_of(setting, Batches(setting, SEED, RUNS), 4.0, 16).terms
    assert_close(divergences(setting, Batches(setting, SEED, RUNS)), terms["divergence"])
    for name, values in without_path(setting, Batches(setting, SEED, RUNS)).items():
        assert_close(values, terms[name])
    saving = terms["gaussian"] - terms["path_gaussian"]  # nothing at one layer
    np.testing.assert_allclose(path_saving(setting, Batches(setting, SEED, RUNS)), saving, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("rung", [divergences, path_saving, without_path])
def test_few_demonstrations(rung) -> None:
    """Too few demonstrations are errors."""
    setting = replace(setting_of(1, 0.0), demonstrations=6, shots=2)
    assert "N - 1 = 5 is below d_S = 6" in error_message(rung, setting, Batches(setting, SEED, RUNS))
    setting = replace(setting, floor=1e-3)
    found = rung(setting, Batches(setting, SEED, RUNS))
    assert all(np.isfinite(values).all() for values in (found.values() if isinstance(found, dict) else [found]))
