"""The numbers of a whole unit, member by member; regimes; members that diverged; the shipped record made again."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from small_grid import FACTORS, small_grid

from icl_theory import LinearRegression
from icl_theory.grids import Table, grid, shipped
from icl_theory.grids.edits import edit_numbers, edits_of
from icl_theory.grids.populations import in_regime, number_of, task_of, trained
from icl_theory.grids.registration import Unit
from icl_theory.grids.unit_table import unit_record

SMALL = small_grid(factors=FACTORS | {"task": ("regression",)})
LONG = Unit("linear", "none", "regression", "long")


def test_member_by_member() -> None:
    """Every number of a seed, from its weights and its own prompts."""
    record, models = unit_record(SMALL, LONG), trained(SMALL, LONG)
    assert record["unit"] == list(LONG.key)
    assert list(record["regimes"]) == ["converged", "noisy", "shifted"]
    for regime in record["regimes"]:
        task = task_of(SMALL, LONG, shifted=regime == "shifted")
        shots = record["regimes"][regime]["shots"]["4"]
        assert list(record["regimes"][regime]["shots"]) == ["4"]  # without demonstrations nothing is recorded
        for seed in range(2):
            model = in_regime(SMALL, LONG, regime, seed, models.member(seed))
            place = [SMALL.seed, number_of(LONG)]
            key = int(np.random.default_rng([*place, 2, 4, seed]).integers(2**62))
            directions = np.random.default_rng([*place, 3, seed]).standard_normal((2, 6, 6))
            before, numbers = edit_numbers(SMALL, task, model, "none", task.sample(key, 16, 4), directions)
            assert shots["before"][seed] == pytest.approx(before.tolist(), rel=2e-4)
            assert np.allclose(shots["edits"][seed], numbers, rtol=6e-3, atol=1e-12)
            for name in ("value", "key", "query"):
                expected = [np.linalg.cond(matrix) for matrix in getattr(model, name)]
                assert record["regimes"][regime]["conditions"][name][seed] == pytest.approx(expected, rel=1e-3)


def test_regimes() -> None:
    """Noise of a tenth of the root mean square entry in every matrix; a shift changes the labels alone."""
    models = trained(SMALL, LONG)
    plain, noisy, shifted = (in_regime(SMALL, LONG, r, 0, models.member(0)) for r in ("converged", "noisy", "shifted"))
    assert np.array_equal(plain.value, shifted.value)
    change = (noisy.key - plain.key) / np.sqrt((plain.key**2).mean(axis=(1, 2), keepdims=True))
    assert change.std() == pytest.approx(0.1, rel=0.25)
    other = in_regime(SMALL, LONG, "noisy", 1, models.member(0))
    assert not np.allclose(other.key, noisy.key)
    for task, name, usual, more in (
        ("regression", "noise_std", 0.5, 2.0),
        ("classification", "flip_probability", 0.1, 0.3),
    ):
        unit = dataclasses.replace(LONG, task=task)
        assert getattr(task_of(SMALL, unit), name) == usual
        assert getattr(task_of(SMALL, unit, shifted=True), name) == more


def test_tasks() -> None:
    """Low-rank tasks lie in a plane and have the total variance of the others."""
    low = task_of(SMALL, dataclasses.replace(LONG, task="low-rank regression"))
    assert isinstance(low, LinearRegression)
    assert np.linalg.matrix_rank(low.task_covariance) == 2
    assert np.trace(low.task_covariance) == pytest.approx(5.0)


@pytest.mark.parametrize("attention", ["linear", "softmax", "causal softmax"])
def test_kinds(attention: str) -> None:
    """Attention, mask, MLP and finite sets are those that the unit names."""
    models = trained(SMALL, Unit(attention, "relu", "regression", "finite"))
    assert models.kind == ("linear" if attention == "linear" else "softmax")
    assert models.mask == ("causal" if attention == "causal softmax" else "demonstrations")
    assert (models.activation, models.mlp_in.shape) == ("relu", (2, 3, 12, 6))


def test_members_that_diverged(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have no numbers, and are there."""
    models = trained(SMALL, LONG)
    broken = models.replace(value=np.array(models.value))
    broken.value[1, 0, 0, 0] = np.nan
    monkeypatch.setattr("icl_theory.grids.unit_table.trained", lambda *_: broken)
    record = unit_record(SMALL, LONG)["regimes"]["converged"]
    assert record["conditions"]["value"][1] == [None] * 3
    assert record["shots"]["4"]["before"][1] == [None] * 3
    assert record["shots"]["4"]["edits"][1] == [[None] * 3] * len(edits_of(SMALL, "none"))
    assert None not in record["conditions"]["value"][0]


@pytest.mark.slow
def test_the_shipped_record_is_reproduced() -> None:
    """A unit trained again: what is exact on one machine is within six standard errors over seeds on another."""
    full, table = grid("full"), shipped("edits")
    assert isinstance(table, Table)
    unit = Unit("linear", "none", "classification", "short")
    record: Any = unit_record(full, unit)
    cell: Any = {"attention": "linear", "mlp": "none", "task": "classification", "regime": "short"}
    for shots in (4, 20):
        now = np.array(record["regimes"]["short"]["shots"][str(shots)]["before"], dtype=float)[:, 1]
        then = table.before(cell, shots)
        error = np.sqrt((now.var(ddof=1) + then.var(ddof=1)) / len(now))
        assert abs(now.mean() - then.mean()) < 6 * error
        edits = np.array(record["regimes"]["short"]["shots"][str(shots)]["edits"], dtype=float)[:, :, 1]
        kept = table.changes(cell, shots, [e for e in edits_of(full, "none") if e.rank], 1).T
        difference = edits[:, : kept.shape[1]].mean(axis=0) - kept.mean(axis=0)
        spread = np.sqrt((edits[:, : kept.shape[1]].var(axis=0, ddof=1) + kept.var(axis=0, ddof=1)) / len(now))
        assert (np.abs(difference) <= 6 * spread + 1e-9).all()
